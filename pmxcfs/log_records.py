"""One event of the log: a sentence in a domain, with facts; and how it becomes a line."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

PRIORITIES = {
    "debug": ("debug", 7),
    "info": ("info", 6),
    "warning": ("warning", 4),
    "error": ("error", 3),
    "critical": ("crit", 2),
}
"""By the method's name: the word that the reference prints, and syslog's number."""

TEXT_MAX = 8192
"""No text of an event, which may be a peer's or a client's, is longer."""


@dataclass(frozen=True, slots=True)
class Record:
    """An event.

    Attributes:
        domain: the reference's name for a part of the daemon.
        method: a key of PRIORITIES.
        sentence: what happened; the same whenever the same happens.
        facts: what was different this time.
        traceback: of an error that should not happen; several lines, else empty.
        time_s: UNIX seconds.
    """

    domain: str
    method: str
    sentence: str
    facts: Mapping[str, object] = field(default_factory=dict)
    traceback: str = ""
    time_s: float = field(default_factory=time.time)

    @property
    def word(self) -> str:
        """The priority as the reference prints it."""
        return PRIORITIES[self.method][0]

    @property
    def number(self) -> int:
        """The priority as syslog counts it."""
        return PRIORITIES[self.method][1]

    @property
    def line(self) -> str:
        """The event in the reference's shape, whatever is in its facts on one line."""
        facts = " ".join(f"{key}={value}" for key, value in self.texts.items())
        sentence = f"{self.sentence} ({facts})" if facts else self.sentence
        return f"[{self.domain}] {self.word}: {_on_one_line(sentence)}"

    @property
    def texts(self) -> dict[str, str]:
        """The facts as texts."""
        return {key: _cut(str(value)) for key, value in self.facts.items()}

    @property
    def json(self) -> str:
        """The event as one line of JSON."""
        value = {
            "time": round(self.time_s, 6),
            "priority": self.word,
            "domain": self.domain,
            "message": self.sentence,
            "facts": {key: _as_json(fact) for key, fact in self.facts.items()},
        }
        if self.traceback:
            value["traceback"] = self.traceback
        return json.dumps(value)


def _as_json(fact: object) -> object:
    return fact if isinstance(fact, bool | int | float | None) else _cut(str(fact))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}..."


def _on_one_line(text: str) -> str:
    """Escape what would begin another line, or do a terminal harm."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()

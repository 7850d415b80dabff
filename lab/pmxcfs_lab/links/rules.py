"""What may happen to frames between two nodes, as values. Several rules for one way add up."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pmxcfs_lab.errors import LabError

MS_MAX = 60_000.0

Way = tuple[str, str, int]
"""From node, to node, number of the link."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What happens to the frames of one way; the default is that all arrive at once.

    Attributes:
        loss: share of frames that get lost; 1 is a cut.
        delay_ms: how much later each arrives.
        jitter_ms: up to this much later still, each by chance; order is kept.
        duplicate: share that arrives twice.
        reorder: share that later frames overtake.
        corrupt: share in which one bit is flipped. The receiving kernel notices by the checksum.
        rate_kbit: how much the way carries a second, 0 for any; what waits too long is lost.
    """

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate_kbit: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.loss, self.duplicate, self.reorder, self.corrupt)
        if not all(0 <= share <= 1 for share in shares):
            raise LabError("loss, duplicate, reorder and corrupt are shares from 0 to 1.")
        if not all(0 <= delay <= MS_MAX for delay in (self.delay_ms, self.jitter_ms)):
            raise LabError(f"delay_ms and jitter_ms are 0 to {MS_MAX:.0f}.")
        if not (math.isfinite(self.rate_kbit) and self.rate_kbit >= 0):
            raise LabError("rate_kbit is not negative.")

    @property
    def is_loss_only(self) -> bool:
        """Whether frames that arrive do so as if nothing were."""
        return self == Quality(loss=self.loss)


PERFECT = Quality()
CUT = Quality(loss=1.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """The quality of one way.

    Attributes:
        from_: the sending node.
        to: the receiving node.
        quality: what happens to what it sends there.
        link: on this link only; None for all.
    """

    from_: str
    to: str
    quality: Quality
    link: int | None = None


Shapes = Mapping[str, Sequence[Rule]]
"""Rules by the key of whoever wants them."""


def combine(qualities: Iterable[Quality]) -> Quality:
    """Return what frames meet that pass all of these, one after the other."""
    whole = PERFECT
    for one in qualities:
        rates = [rate for rate in (whole.rate_kbit, one.rate_kbit) if rate > 0]
        whole = Quality(
            loss=_either(whole.loss, one.loss),
            delay_ms=min(MS_MAX, whole.delay_ms + one.delay_ms),
            jitter_ms=min(MS_MAX, whole.jitter_ms + one.jitter_ms),
            duplicate=_either(whole.duplicate, one.duplicate),
            reorder=_either(whole.reorder, one.reorder),
            corrupt=_either(whole.corrupt, one.corrupt),
            rate_kbit=min(rates, default=0.0),
        )
    return whole


def table(shapes: Shapes, links: int) -> dict[Way, Quality]:
    """Return the quality of every way that any rule speaks of.

    Args:
        shapes: all rules.
        links: how many links each node has.
    """
    met: dict[Way, list[Quality]] = {}
    for rule in (rule for rules in shapes.values() for rule in rules):
        for link in range(links) if rule.link is None else (rule.link,):
            met.setdefault((rule.from_, rule.to, link), []).append(rule.quality)
    return {way: combine(qualities) for way, qualities in met.items()}


def cuts_between(groups: Sequence[Sequence[str]]) -> tuple[Rule, ...]:
    """Return the rules that keep nodes of different groups apart, in both directions."""
    return tuple(
        Rule(one, other, CUT)
        for group in groups
        for one in group
        for elsewhere in groups
        if elsewhere is not group
        for other in elsewhere
    )


def rules_to_json(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return a JSON value from which `rules_from_json` makes equal rules."""
    return [asdict(rule) for rule in rules]


def rules_from_json(values: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules; another shape raises KeyError or TypeError."""
    return tuple(
        Rule(value["from_"], value["to"], Quality(**value["quality"]), value["link"])
        for value in values
    )


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)

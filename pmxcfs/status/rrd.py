"""The latest metrics of all nodes, guests and storages, as the nodes publish them.

They are kept in memory and shown; their history goes into files, see ``archives``.

Source: docs/PROTOCOL.md, "Key-value group" and "Status texts".
"""

from dataclasses import dataclass

from pmxcfs.errors import ProtocolError

KEY_PREFIX = b"rrd/"

VALUE_BYTES_MAX = 4095
"""With the NUL."""

SAMPLES_MAX = 65_536
"""Of nodes, guests and storages of the whole cluster. The reference has no limit."""

KEPT_S = 300
FRESH_S = 2
"""For how long a dump is good enough."""


@dataclass(frozen=True, slots=True)
class _Sample:
    text: bytes
    arrived_s: int


@dataclass(frozen=True, slots=True)
class Dump:
    """All metrics, one a line; whether the text was made for this question."""

    text: bytes
    is_new: bool


class Metrics:
    """The samples that came last, by what they are about, for example ``pve2-vm/100``."""

    def __init__(self) -> None:
        self._samples: dict[bytes, _Sample] = {}
        self._text = b""
        self._made_s: int | None = None

    def receive(self, key: bytes, value: bytes, now_s: int) -> None:
        """Take a sample, of whatever node.

        Args:
            key: without its prefix.
            value: numbers and words with colons between them, and a NUL.
            now_s: our clock.

        Raises:
            ProtocolError: the value is empty, too long, or has no NUL at its end; or there are too
                many samples that are not old yet.
        """
        if not value.endswith(b"\0") or len(value) > VALUE_BYTES_MAX:
            raise ProtocolError(f"{len(value)} bytes are no metrics")
        if key not in self._samples and len(self._samples) >= SAMPLES_MAX:
            self._forget_old(now_s)
            if len(self._samples) >= SAMPLES_MAX:
                raise ProtocolError(f"there are metrics of {len(self._samples)} things already")
        self._samples[key] = _Sample(value.partition(b"\0")[0], now_s)

    def dump(self, now_s: int) -> Dump:
        """Return ``key:value`` lines of all samples that are not too old, made a moment ago or now.

        Source: docs/PROTOCOL.md, "Status texts".
        """
        if self._made_s is not None and 0 <= now_s - self._made_s < FRESH_S:
            return Dump(self._text, is_new=False)
        self._forget_old(now_s)
        lines = [key + b":" + sample.text + b"\n" for key, sample in self._samples.items()]
        self._text, self._made_s = b"".join(lines), now_s
        return Dump(self._text, is_new=True)

    def _forget_old(self, now_s: int) -> None:
        self._samples = {
            key: sample
            for key, sample in self._samples.items()
            if now_s - sample.arrived_s <= KEPT_S
        }

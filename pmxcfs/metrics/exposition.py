"""The text that Prometheus reads.

Its library is imported when somebody asks for the first time: most daemons are never asked.
"""

from collections.abc import Callable

import trio

from pmxcfs.metrics.parts import Parts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FRESH_S = 1.0
"""For how long a text is good enough: whoever asks all the time costs no more than that."""


class Exposition:
    """Makes the text of one daemon.

    Args:
        parts: what is read.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._generate: Callable[[], bytes] | None = None
        self._text = b""
        self._made_s = -FRESH_S

    def text(self) -> str:
        """Return all metrics as text; see ``encoded``."""
        return self.encoded().decode()

    def encoded(self) -> bytes:
        """Return all metrics, of this moment or of the last second; on the event loop only."""
        now_s = trio.current_time()
        if now_s - self._made_s >= FRESH_S:
            self._generate = self._generate or _generator(self._parts)
            self._text, self._made_s = self._generate(), now_s
        return self._text


def _generator(parts: Parts) -> Callable[[], bytes]:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.gc_collector import GCCollector
    from prometheus_client.process_collector import ProcessCollector

    from pmxcfs.metrics.collector import NodeCollector

    registry = CollectorRegistry()
    registry.register(NodeCollector(parts))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)

"""What the service manager is told: that we are ready, that we end, and that the event loop turns.

Its watchdog ends a daemon that says nothing for too long. The word comes from a task of the event
loop, and every request and every delivery is worked on by that loop: while it hangs, nothing is
said. Nothing here waits for the service manager.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

import trio

WORDS_A_PERIOD = 4
"""Three may come late, or be lost, before the watchdog bites."""


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The service manager, if one has started us.

    Attributes:
        address: of its socket, empty without one.
        patience_s: after so long without a word it ends us; None, it never does.
    """

    address: str = ""
    patience_s: float | None = None

    def tell_ready(self, status: str) -> None:
        """What depends on us may start."""
        self._tell(f"READY=1\nSTATUS={status}")

    def tell_ending(self) -> None:
        """We were told to end, and are about to."""
        self._tell("STOPPING=1")

    async def tell_progress(self) -> None:
        """Say again and again that the event loop turns. Runs until cancelled."""
        if self.patience_s is None:
            return
        while True:
            self._tell("WATCHDOG=1")
            await trio.sleep(self.patience_s / WORDS_A_PERIOD)

    def _tell(self, text: str) -> None:
        if not self.address:
            return
        # "@" stands for the NUL of an abstract address.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.setblocking(False)
            try:
                connection.sendto(text.encode(), address)
            except OSError:
                return  # it hangs or restarts; the next word may get through


def supervisor(environment: MutableMapping[str, str] = os.environ) -> Supervisor:
    """Return who has started us, and take what names it out of the environment of our children."""
    address = environment.pop("NOTIFY_SOCKET", "")
    patience_us = environment.pop("WATCHDOG_USEC", "")
    watched = environment.pop("WATCHDOG_PID", str(os.getpid()))
    if not patience_us.isdecimal() or int(patience_us) == 0 or watched != str(os.getpid()):
        return Supervisor(address)
    return Supervisor(address, int(patience_us) / 1e6)

"""Programs that ask without a pause leave time for all else that the daemon has to do."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest
import trio

from pmxcfs.fuse import lowlevel
from pmxcfs.fuse.operations import PmxcfsOperations
from pmxcfs.turns import TURN_S
from tests.fuse.test_kernel_memory import Node

CALLERS = 8
CALLS = 4
IN_ONE_TURN_MAX = 2
"""The last before something else runs, and the first after it: one of each pass of the loop."""


def hold_the_loop() -> None:
    time.sleep(TURN_S)


async def test_requests_that_take_long_are_not_taken_in_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds the loop for a whole turn, and behind it others wait in the kernel."""
    asked_in_turn: list[int] = []
    turn = 0

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await trio.lowlevel.checkpoint()

    answer = PmxcfsOperations.lookup

    async def answer_slowly(*arguments: object) -> object:
        asked_in_turn.append(turn)
        hold_the_loop()
        return await answer(*arguments)  # type: ignore[arg-type]

    def ask(caller: int) -> None:
        for call in range(CALLS):
            assert not os.path.lexists(node.mountpoint / f"nothing-{caller}-{call}")

    monkeypatch.setattr(PmxcfsOperations, "lookup", answer_slowly)
    monkeypatch.setattr(lowlevel, "LINGER_US", 0)
    node = Node(tmp_path / "mnt")
    async with node.running(), trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        async with trio.open_nursery() as callers:
            for caller in range(CALLERS):
                callers.start_soon(node.call, ask, caller)
        nursery.cancel_scope.cancel()
    assert len(asked_in_turn) >= CALLERS * CALLS
    assert max(Counter(asked_in_turn).values()) <= IN_ONE_TURN_MAX

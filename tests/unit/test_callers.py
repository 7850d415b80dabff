"""Local callers who wait are bounded in number and bytes, and their giving up is said once."""

from errno import EBUSY

import pytest
import trio.testing
from structlog.testing import capture_logs

from pmxcfs import callers as callers_module
from pmxcfs.callers import QUIET_S, Callers
from pmxcfs.errors import OperationError
from pmxcfs.memdb.operations import Create, Write


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers_module, "CALLERS_MAX", 2)
    monkeypatch.setattr(callers_module, "BYTES_MAX", 100)


async def test_when_all_places_are_taken_further_changes_are_refused() -> None:
    callers = Callers()
    with callers.place(Create(b"a")), callers.place(Create(b"b")):
        with pytest.raises(OperationError) as refusal, callers.place(Create(b"c")):
            pass
        assert refusal.value.errno == EBUSY
    with callers.place(Create(b"c")):
        pass


async def test_so_are_too_many_bytes() -> None:
    callers = Callers()
    with callers.place(Write(b"a", 0, b"x" * 60)):
        with pytest.raises(OperationError), callers.place(Write(b"b", 0, b"x" * 60)):
            pass
        with callers.place(Write(b"b", 0, b"x" * 40)):
            pass


async def test_a_place_is_free_again_after_an_error() -> None:
    callers = Callers()
    for _ in range(5):
        with pytest.raises(ValueError, match="any"), callers.place(Create(b"a")):
            raise ValueError("any")


async def test_many_who_give_up_are_one_line(autojump_clock: trio.testing.MockClock) -> None:
    callers = Callers()
    with capture_logs() as lines:
        for _ in range(9):
            callers.tell_gave_up(Create(b"a"), ["node3 (id 3, pid 30)"], 30, was_sent=False)
        assert len(lines) == 1
        assert lines[0]["waits_for"] == ["node3 (id 3, pid 30)"]
        callers.tell_gave_up(Create(b"a"), ["corosync"], 30, was_sent=True)
        assert len(lines) == 2
        await trio.sleep(QUIET_S)
        callers.tell_gave_up(Create(b"a"), ["corosync"], 30, was_sent=True)
    assert len(lines) == 3

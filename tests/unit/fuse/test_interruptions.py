"""When an interrupted caller is let go."""

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from pmxcfs.fuse import interruptions
from pmxcfs.fuse.interruptions import GRACE_S, Interruptions

if TYPE_CHECKING:
    from pmxcfs._libfuse import CData

REQUEST = cast("CData", "a request")
GONE_THREAD = 0


async def test_what_is_about_to_be_answered_has_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    interrupted = Interruptions()
    interrupted.begin(REQUEST, GONE_THREAD)
    await trio.sleep(GRACE_S - 0.1)
    assert interrupted.due() == []
    await trio.sleep(0.1)
    assert interrupted.due() == [REQUEST]


async def test_what_was_answered_meanwhile_is_not_answered_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    interrupted = Interruptions()
    interrupted.begin(REQUEST, GONE_THREAD)
    interrupted.end(REQUEST)
    await trio.sleep(GRACE_S)
    assert interrupted.due() == []


async def test_who_does_not_want_out_is_asked_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(interruptions, "wants_out", lambda thread: answers.pop(0))
    interrupted = Interruptions()
    interrupted.begin(REQUEST, GONE_THREAD)
    await trio.sleep(GRACE_S)
    assert interrupted.due() == []
    assert interrupted.due() == [REQUEST]

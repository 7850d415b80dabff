"""What tells the porter whether an answer is still true: a number that never stays behind."""

import mmap
import os

import pytest
import trio

from pmxcfs.ipc.freshness import REQUESTS_MAX, Page
from pmxcfs.ipc.steps import Steps, watched_by


def test_the_other_side_sees_the_state_and_is_counted() -> None:
    page = Page()
    other = Page(os.dup(page.fd))
    page.move_on()
    assert other.state == page.state == 1
    other.count(6)
    other.count(6)
    assert page.counts() == {6: 2}


@pytest.mark.parametrize("request_number", [-1, REQUESTS_MAX, 255])
def test_requests_that_nobody_knows_are_not_counted(request_number: int) -> None:
    page = Page()
    page.count(request_number)
    assert page.counts() == {}


@pytest.mark.parametrize("size_bytes", [0, 2 * mmap.PAGESIZE])
def test_nobody_can_take_the_page_away_under_the_other(size_bytes: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(Page().fd, size_bytes)


async def test_every_step_of_a_task_moves_on_but_for_those_that_are_spared() -> None:
    page = Page()
    steps = Steps(page)
    with watched_by(steps):
        before = page.state
        await trio.lowlevel.checkpoint()
        assert page.state > before
        with steps.spared():
            before = page.state
            await trio.lowlevel.checkpoint()
            assert page.state == before
        await trio.lowlevel.checkpoint()
        assert page.state > before
    before = page.state
    await trio.lowlevel.checkpoint()
    assert page.state == before, "nobody tells any more"


async def test_a_task_that_is_woken_by_a_spared_one_moves_on_before_it_runs() -> None:
    page = Page()
    steps, woken = Steps(page), trio.Event()
    seen: list[int] = []

    async def sleeper() -> None:
        await woken.wait()
        seen.append(page.state)

    with watched_by(steps):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleeper)
            await trio.testing.wait_all_tasks_blocked()
            with steps.spared():
                before = page.state
                woken.set()
                await trio.lowlevel.checkpoint()
    assert seen[0] > before

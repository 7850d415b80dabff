"""Coroutines that run without a task, until they have to wait."""

from collections.abc import Coroutine
from typing import Any

import pytest
import trio

from pmxcfs.stepping import InterruptionError, Promise, Step, is_stepping


class Story:
    """What became of a step."""

    def __init__(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self.done: list[object] = []
        self.errors: list[Exception] = []
        self.step = Step(coroutine, self.done.append, self.errors.append)
        self.step.run()


def test_what_need_not_wait_is_done_at_once() -> None:
    async def answer() -> int:
        promise = Promise[int]()
        promise.keep(41)
        return await promise + 1

    assert Story(answer()).done == [42]


def test_a_step_goes_on_when_its_promise_is_kept_and_not_before() -> None:
    first, second = Promise[int](), Promise[int]()

    async def add() -> int:
        return await first + await second

    story = Story(add())
    first.keep(1)
    assert story.done == []
    second.keep(2)
    assert story.done == [3]


def test_an_error_reaches_whoever_began_even_after_a_wait() -> None:
    promise = Promise[None]()

    async def fail() -> None:
        await promise
        raise ZeroDivisionError

    story = Story(fail())
    assert story.errors == []
    promise.keep(None)
    assert [type(error) for error in story.errors] == [ZeroDivisionError]


def test_whether_code_runs_in_a_step_is_known_also_when_steps_lie_within_each_other() -> None:
    seen = []

    async def inner() -> None:
        seen.append(is_stepping())

    async def outer() -> None:
        Story(inner())
        seen.append(is_stepping())

    assert not is_stepping()
    Story(outer())
    assert seen == [True, True]
    assert not is_stepping()


def test_what_is_done_with_a_result_does_not_run_in_the_step() -> None:
    seen = []

    async def nothing() -> None:
        pass

    Step(
        nothing(), lambda result: seen.append(is_stepping()), lambda error: pytest.fail(str(error))
    ).run()
    assert seen == [False]


def test_who_is_interrupted_can_clean_up_and_the_promise_may_still_be_kept() -> None:
    promise, seen = Promise[int](), list[bool]()

    async def wait() -> int:
        try:
            return await promise
        finally:
            seen.append(is_stepping())

    story = Story(wait())
    story.step.interrupt()
    promise.keep(1)
    assert [type(error) for error in story.errors] == [InterruptionError]
    assert (story.done, seen) == ([], [True])


def test_who_is_interrupted_can_wait_for_something_else() -> None:
    first, second = Promise[int](), Promise[int]()

    async def wait() -> int:
        try:
            return await first
        except InterruptionError:
            return await second

    story = Story(wait())
    story.step.interrupt()
    first.keep(1)
    second.keep(2)
    assert (story.done, story.errors) == ([2], [])


async def test_a_task_can_wait_for_a_promise_too(autojump_clock: trio.testing.MockClock) -> None:
    promise = Promise[str]()

    async def keep_later() -> None:
        await trio.sleep(1)
        promise.keep("kept")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_later)
        assert await promise == "kept"
    assert await promise == "kept"


async def test_a_step_that_waits_for_anything_else_fails_at_once() -> None:
    async def sleep() -> None:
        await trio.sleep(1)

    assert [type(error) for error in Story(sleep()).errors] == [TypeError]

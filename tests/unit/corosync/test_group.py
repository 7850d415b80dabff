"""A member's life without corosync: which events come in which order, whatever happens."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from pmxcfs.corosync import group as group_module
from pmxcfs.corosync.cpg import CpgEvent
from pmxcfs.corosync.group import CpgGroup
from pmxcfs.corosync.handle import PIECE, Code, CorosyncError
from pmxcfs.corosync.outbox import MESSAGES_UNDER_WAY_MAX
from pmxcfs.corosync.restarts import Timing
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    GroupEvent,
    SendFailed,
)
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.turns import TURN_S

ME = Member(NodeId(1), Pid(10))
OTHER = Member(NodeId(2), Pid(20))
ALONE, TOGETHER = ConfigurationChange((ME,)), ConfigurationChange((ME, OTHER))
WITHOUT_US = ConfigurationChange((OTHER,), left=(ME,))
TIMING = Timing(tick_s=0, gap_s=0, retry_s_max=0.001)


@dataclass
class World:
    """What all connections of a test share: answers to requests, and what was requested."""

    calls: list[str] = field(default_factory=list)
    failures: dict[str, list[Code]] = field(default_factory=dict)
    handles: list["FakeHandle"] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)

    def request(self, name: str) -> None:
        self.calls.append(name)
        trio.from_thread.run_sync(self.ring)
        if self.failures.get(name):
            raise CorosyncError(self.failures[name].pop(0), f"cpg_{name}")

    def ring(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def until(self, is_true: Callable[[], bool]) -> None:
        with trio.fail_after(10):
            while not is_true():
                await self.changed.wait()


class FakeHandle:
    """A connection whose events are what a test puts in."""

    me = ME

    def __init__(self, world: World) -> None:
        self._world = world
        self._ours, self._theirs = socket.socketpair()
        self.fd = self._ours.fileno()
        self._events: list[CpgEvent] = []
        self._is_lost = False
        self.sent: list[bytes] = []
        self.is_writable = True
        world.handles.append(self)

    def tell(self, *events: CpgEvent) -> None:
        self._events += events
        self._theirs.send(b"!")

    def lose(self) -> None:
        self._is_lost = True
        self._theirs.send(b"!")

    def open(self) -> None:
        self._world.request("open")

    def join(self, name: bytes) -> None:
        self._world.request("join")

    def leave(self, name: bytes) -> None:
        self._world.request("leave")

    def close(self) -> None:
        self._world.request("close")
        self._ours.close()
        self._theirs.close()

    def dispatch(self) -> list[CpgEvent]:
        if self._is_lost:
            raise CorosyncError(Code.LIBRARY, "cpg_dispatch")
        events, self._events = self._events[:PIECE], self._events[PIECE:]
        if not self._events:
            self._ours.recv(1)
        return events

    def needs_pieces(self, data: bytes) -> bool:
        return False

    def multicast_at_once(self, data: bytes) -> bool:
        if self.is_writable:
            self.sent.append(data)
        return self.is_writable


class Rig:
    """A group that runs, its present connection, and the batches that its sink was given."""

    def __init__(self, world: World, timing: Timing = TIMING) -> None:
        self.world = world
        self.batches: list[list[GroupEvent]] = []
        self.react: Callable[[Sequence[GroupEvent]], None] = lambda events: None
        self.group = CpgGroup(b"test\0", self._sink, timing=timing)

    def _sink(self, events: Sequence[GroupEvent]) -> None:
        self.batches.append(list(events))
        self.world.ring()
        self.react(events)

    @property
    def events(self) -> list[GroupEvent]:
        return [event for batch in self.batches for event in batch]

    @property
    def handle(self) -> FakeHandle:
        return self.world.handles[-1]

    async def heard(self, count: int) -> list[GroupEvent]:
        await self.world.until(lambda: len(self.events) >= count)
        return self.events[:count]

    async def requested(self, name: str, times: int = 1) -> None:
        await self.world.until(lambda: self.world.calls.count(name) >= times)

    async def join(self) -> None:
        await self.requested("join")
        self.handle.tell(ALONE)
        await self.world.until(lambda: ALONE in self.events)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(group_module, "CpgHandle", partial(FakeHandle, world))
    return world


@pytest.fixture
async def rig(world: World, nursery: trio.Nursery) -> Rig:
    rig = Rig(world)
    nursery.start_soon(rig.group.run)
    return rig


async def test_we_hear_who_we_are_before_anything_else(rig: Rig) -> None:
    await rig.join()
    assert rig.events == [Connected(ME), ALONE]


async def test_all_that_comes_at_once_is_one_batch(rig: Rig) -> None:
    await rig.join()
    news: list[CpgEvent] = [Delivered(ME, b"1"), TOGETHER, Delivered(OTHER, b"2")]
    rig.handle.tell(*news)
    await rig.heard(5)
    assert rig.batches[-1] == news


async def test_a_flood_is_taken_in_turns_that_end_by_the_clock(
    rig: Rig, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    """Each piece takes two fifths of a turn, so three are begun before all others get theirs.

    They may have had it just before that, and get the next one just after the next three.
    """
    seen: list[int] = []

    async def do_something_else() -> None:
        while True:
            seen.append(len(rig.batches))
            await trio.lowlevel.checkpoint()

    await rig.join()
    flood: list[CpgEvent] = [Delivered(OTHER, b"%d" % number) for number in range(20 * PIECE + 1)]
    rig.react = lambda events: mock_clock.jump(TURN_S * 2 / 5)
    nursery.start_soon(do_something_else)
    rig.handle.tell(*flood)
    await rig.heard(2 + len(flood))
    assert rig.events[2:] == flood
    assert [len(batch) for batch in rig.batches[2:]] == [PIECE] * 20 + [1]
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 2 * 3


async def test_a_false_alarm_is_no_batch(rig: Rig) -> None:
    await rig.join()
    rig.handle.tell()
    await wait_all_tasks_blocked()
    assert len(rig.batches) == 2


async def test_a_join_is_repeated_while_corosync_is_busy(rig: Rig) -> None:
    rig.world.failures["join"] = [Code.TRY_AGAIN, Code.TRY_AGAIN]
    await rig.requested("join", 3)
    assert rig.world.calls == ["open", "join", "join", "join"]


async def test_who_waits_long_for_the_ring_to_form_says_so_once_and_goes_on(world: World) -> None:
    timing = Timing(retry_s_max=0.001, answer_s_max=0)
    group = CpgGroup(b"test\0", lambda events: None, timing=timing)
    world.failures["leave"] = [Code.TRY_AGAIN] * 5
    handle = FakeHandle(world)
    with capture_logs() as lines:
        await group._persist(handle, handle.leave, within_s=10)  # type: ignore[arg-type]
    await trio.to_thread.run_sync(handle.close)
    assert world.calls == ["leave"] * 6 + ["close"]
    (line,) = lines
    assert line["event"] == "waiting for corosync, which is forming its ring"
    assert line["log_level"] == "warning"


async def test_a_refused_join_is_tried_again_over_a_new_connection(rig: Rig) -> None:
    rig.world.failures["join"] = [Code.ACCESS]
    assert await rig.heard(3) == [Connected(ME), Disconnected(), Connected(ME)]
    await rig.requested("join", 2)
    assert rig.world.calls == ["open", "join", "close", "open", "join"]


async def test_a_corosync_that_is_not_there_is_no_event(rig: Rig) -> None:
    rig.world.failures["open"] = [Code.LIBRARY, Code.LIBRARY]
    with capture_logs() as lines:
        assert await rig.heard(1) == [Connected(ME)]
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_a_lost_connection_is_replaced(rig: Rig) -> None:
    await rig.join()
    rig.handle.lose()
    assert (await rig.heard(4))[2:] == [Disconnected(), Connected(ME)]
    assert rig.world.calls[:4] == ["open", "join", "close", "open"]


async def test_who_leaves_hears_the_change_without_us_and_joins_again(rig: Rig) -> None:
    await rig.join()
    rig.group.leave(for_good=False)
    await rig.requested("leave")
    rig.handle.tell(Delivered(OTHER, b"late"), WITHOUT_US)
    events = (await rig.heard(6))[2:]
    assert events == [Delivered(OTHER, b"late"), WITHOUT_US, Disconnected(), Connected(ME)]


async def test_what_corosync_goes_on_to_tell_one_that_has_left_is_not_heard(rig: Rig) -> None:
    await rig.join()
    rig.group.leave(for_good=False)
    await rig.requested("leave")
    rig.handle.tell(WITHOUT_US, Delivered(OTHER, b"between"), Delivered(OTHER, b"us"))
    assert (await rig.heard(5))[2:] == [WITHOUT_US, Disconnected(), Connected(ME)]
    assert rig.group.traffic.delivered == 0


async def test_who_leaves_for_good_never_joins_again(rig: Rig) -> None:
    await rig.join()
    rig.group.leave(for_good=True)
    await rig.requested("leave")
    rig.handle.tell(WITHOUT_US)
    await rig.requested("close")
    rig.group.multicast(b"too late")
    assert (await rig.heard(5))[2:] == [WITHOUT_US, Disconnected(), SendFailed(b"too late")]
    with trio.move_on_after(0.1):
        await rig.requested("open", 2)
    assert rig.world.calls == ["open", "join", "leave", "close"]


async def test_who_leaves_for_good_while_corosync_is_away_does_not_join(world: World) -> None:
    rig = Rig(world, Timing(tick_s=0.05, gap_s=0))
    world.failures["open"] = [Code.LIBRARY]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.group.run)
        await rig.requested("close")
        await wait_all_tasks_blocked(cushion=0.01)
        rig.group.leave(for_good=True)
        with trio.move_on_after(0.2):
            await rig.requested("open", 2)
        nursery.cancel_scope.cancel()
    assert world.calls == ["open", "close"]


async def test_a_leave_in_answer_to_the_change_without_us_is_not_remembered(rig: Rig) -> None:
    def react(events: Sequence[GroupEvent]) -> None:
        if WITHOUT_US in events:
            rig.group.leave(for_good=False)

    await rig.join()
    rig.react = react
    rig.handle.tell(WITHOUT_US)
    await rig.requested("join", 2)
    rig.handle.tell(ALONE)
    await rig.world.until(lambda: rig.events.count(ALONE) == 2)
    rig.group.multicast(b"hello")
    await wait_all_tasks_blocked()
    assert rig.handle.sent == [b"hello"]
    assert "leave" not in rig.world.calls


async def test_nothing_is_sent_once_we_are_about_to_leave(rig: Rig) -> None:
    await rig.join()
    rig.group.leave(for_good=False)
    rig.group.multicast(b"too late")
    await rig.world.until(lambda: SendFailed(b"too late") in rig.events)
    assert rig.handle.sent == []


async def test_only_own_deliveries_make_room_for_own_messages(rig: Rig) -> None:
    await rig.join()
    for _ in range(MESSAGES_UNDER_WAY_MAX + 2):
        rig.group.multicast(b"ours")
    await wait_all_tasks_blocked()
    rig.handle.tell(Delivered(OTHER, b"theirs"))
    await rig.heard(3)
    await wait_all_tasks_blocked()
    assert len(rig.handle.sent) == MESSAGES_UNDER_WAY_MAX
    rig.handle.tell(Delivered(ME, b"ours"))
    await rig.heard(4)
    await wait_all_tasks_blocked()
    assert len(rig.handle.sent) == MESSAGES_UNDER_WAY_MAX + 1


async def test_a_new_connection_has_nothing_under_way(rig: Rig) -> None:
    await rig.join()
    for _ in range(MESSAGES_UNDER_WAY_MAX + 1):
        rig.group.multicast(b"lost")
    await wait_all_tasks_blocked()
    rig.handle.lose()
    await rig.requested("join", 2)
    assert rig.events[2:] == [SendFailed(b"lost"), Disconnected(), Connected(ME)]
    rig.handle.tell(TOGETHER)
    await rig.world.until(lambda: TOGETHER in rig.events)
    rig.group.multicast(b"new")
    await wait_all_tasks_blocked()
    assert rig.handle.sent == [b"new"]


async def test_nothing_is_sent_before_the_group_lists_us(rig: Rig) -> None:
    await rig.requested("join")
    rig.group.multicast(b"too early")
    rig.handle.tell(ConfigurationChange((OTHER,)))
    await rig.world.until(lambda: SendFailed(b"too early") in rig.events)
    assert rig.handle.sent == []


async def test_a_change_from_before_we_joined_does_not_mean_that_we_left(rig: Rig) -> None:
    await rig.requested("join")
    rig.handle.tell(ConfigurationChange((OTHER,)))
    await rig.heard(2)
    await wait_all_tasks_blocked()
    rig.handle.tell(TOGETHER)
    await rig.heard(3)
    assert rig.events == [Connected(ME), ConfigurationChange((OTHER,)), TOGETHER]


async def test_an_answer_to_the_first_change_is_sent(rig: Rig) -> None:
    rig.react = lambda events: rig.group.multicast(b"hello") if ALONE in events else None
    await rig.join()
    await wait_all_tasks_blocked()
    assert rig.handle.sent == [b"hello"]


async def test_nothing_is_sent_by_a_member_that_was_asked_to_leave_before_it_was_listed(
    rig: Rig,
) -> None:
    await rig.requested("join")
    rig.group.leave(for_good=False)
    rig.handle.tell(ALONE)
    await rig.world.until(lambda: ALONE in rig.events)
    rig.group.multicast(b"unwanted")
    await rig.world.until(lambda: SendFailed(b"unwanted") in rig.events)
    assert rig.handle.sent == []


async def test_a_cancelled_member_disconnects_and_closes(world: World) -> None:
    rig = Rig(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.group.run)
        await rig.join()
        nursery.cancel_scope.cancel()
    assert rig.events[-1] == Disconnected()
    assert world.calls == ["open", "join", "close"]


async def test_an_error_of_the_sink_ends_the_group(world: World) -> None:
    rig = Rig(world)

    def fail(events: Sequence[GroupEvent]) -> None:
        if ALONE in events:
            raise ValueError("a bug")

    rig.react = fail
    with trio.fail_after(10), pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.group.run)
            await rig.join()
            await trio.sleep_forever()


async def test_what_is_there_can_be_heard_without_the_event_loop(rig: Rig) -> None:
    assert rig.group.descriptor == -1
    await rig.join()
    assert rig.group.descriptor == rig.handle.fd
    rig.handle.tell(Delivered(OTHER, b"1"), Delivered(OTHER, b"2"))
    rig.group.hear()
    assert rig.batches[-1] == [Delivered(OTHER, b"1"), Delivered(OTHER, b"2")]
    rig.handle.tell(Delivered(OTHER, b"3"))
    assert (await rig.heard(5))[4:] == [Delivered(OTHER, b"3")]


async def test_what_waits_to_be_sent_needs_the_event_loop(rig: Rig) -> None:
    await rig.join()
    rig.handle.is_writable = False
    rig.group.multicast(b"waits")
    assert rig.group.descriptor == -1


async def test_who_hears_outside_of_the_event_loop_that_we_are_out_joins_again(rig: Rig) -> None:
    await rig.join()
    rig.handle.tell(WITHOUT_US, Delivered(OTHER, b"between us"))
    rig.group.hear()
    assert rig.events[2:] == [WITHOUT_US]
    assert rig.group.descriptor == -1
    assert (await rig.heard(5))[3:] == [Disconnected(), Connected(ME)]


async def test_a_connection_that_is_found_lost_outside_of_the_event_loop_is_replaced(
    rig: Rig,
) -> None:
    await rig.join()
    rig.handle.lose()
    rig.group.hear()
    assert rig.group.descriptor == -1
    assert (await rig.heard(4))[2:] == [Disconnected(), Connected(ME)]

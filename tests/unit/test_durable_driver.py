"""fsync on a cluster: what waits for what, for how long, and what a slow or broken disk does."""

from collections.abc import Mapping, Sequence
from errno import EIO

import pytest
import trio
import trio.testing

from pmxcfs.dfsm.events import ConfigurationChange, Connected, Delivered
from pmxcfs.dfsm.history import History, Point
from pmxcfs.durable.machine import ASK_PERIOD_S, Durability
from pmxcfs.durable.promise import FEW_S_MAX, Promise
from pmxcfs.durable.wire import Message, MessageType, decode
from pmxcfs.durable_driver import ROLL_WAIT_S_MAX, DurableDriver, FsyncWait
from pmxcfs.errors import OperationError
from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.status.members import ClusterInfo, ClusterNode
from pmxcfs.waits.vigil import TimePassed

ME, TWO, THREE = (Member(NodeId(number), Pid(number * 11)) for number in (1, 2, 3))
CLUSTER = ClusterInfo(
    "clu", 1, tuple(ClusterNode(NodeId(number), f"node{number}") for number in (1, 2, 3))
)


class Disk:
    """Syncs when the test lets it; ``error`` is what comes of it."""

    def __init__(self) -> None:
        self.may_end = trio.Semaphore(0)
        self.begun = 0
        self.error: OperationError | None = None

    async def sync(self) -> None:
        self.begun += 1
        await self.may_end.acquire()
        if self.error is not None:
            raise self.error


class Scene:
    """A driver in a group of three; the test speaks for the others."""

    def __init__(self, members: Sequence[Member] = (ME, TWO, THREE)) -> None:
        self.sent: list[Message] = []
        self.disk, self.history = Disk(), History()
        self.history.begin(b"era", is_replaced=False)
        self.driver = DurableDriver(Durability(self.history, lambda: True), self.disk.sync)
        self.driver.attach(self)
        self.driver.learn_nodes(CLUSTER)
        self.driver.learn_quorum(is_quorate=True)
        self.driver.feed([Connected(ME), ConfigurationChange(tuple(members))])

    def multicast(self, data: bytes) -> None:
        self.sent.append(decode(data))

    def leave(self, *, for_good: bool) -> None:
        pytest.fail("nothing makes us leave the durability group")

    def hear(self, sender: Member, kind: MessageType) -> None:
        self.hear_point(sender, kind, self.history.point)

    def hear_point(self, sender: Member, kind: MessageType, point: Point) -> None:
        self.driver.feed([Delivered(sender, Message(kind, point).encode())])


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def outcome_of(scene: Scene, outcomes: list[str]) -> None:
    try:
        await scene.driver.wait()
        outcomes.append("done")
    except OperationError as error:
        outcomes.append(str(error))


async def test_a_caller_waits_for_its_own_disk_and_for_others(
    scene: Scene, nursery: trio.Nursery
) -> None:
    outcomes: list[str] = []
    nursery.start_soon(outcome_of, scene, outcomes)
    await trio.testing.wait_all_tasks_blocked()
    assert [message.type for message in scene.sent] == [MessageType.ASK]
    scene.hear(TWO, MessageType.DURABLE)
    scene.hear(THREE, MessageType.DURABLE)
    await trio.testing.wait_all_tasks_blocked()
    assert outcomes == []
    scene.disk.may_end.release()
    await trio.testing.wait_all_tasks_blocked()
    assert outcomes == ["done"]


async def test_who_is_not_answered_gets_eio_at_the_bound(
    autojump_clock: trio.testing.MockClock, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        scene.disk.may_end.release()
    outcomes: list[str] = []
    async with trio.open_nursery() as callers:
        for _ in range(3):
            callers.start_soon(outcome_of, scene, outcomes)
    assert outcomes == ["EIO"] * 3
    assert trio.current_time() == pytest.approx(10, abs=0.1)
    text = capsys.readouterr().out
    assert text.count("fsync gave up waiting for a majority") == 1
    assert "node2 (id 2)" in text


async def test_our_disk_failing_is_eio_whatever_others_have(scene: Scene) -> None:
    scene.disk.error = OperationError(EIO)
    scene.disk.may_end.release()
    scene.hear(TWO, MessageType.DURABLE)
    scene.hear(THREE, MessageType.DURABLE)
    with pytest.raises(OperationError):
        await scene.driver.wait()


async def test_a_caller_that_is_cancelled_is_forgotten(scene: Scene, nursery: trio.Nursery) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as callers:
            callers.start_soon(scene.driver.wait)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    scene.hear(TWO, MessageType.DURABLE)
    scene.hear(THREE, MessageType.DURABLE)
    sent = len(scene.sent)
    scene.driver.feed([TimePassed(ASK_PERIOD_S)])
    assert len(scene.sent) == sent, "nobody waits any more"


async def test_the_disk_is_synced_for_others_and_then_they_are_told(
    scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(scene.driver.run)
    scene.hear(TWO, MessageType.ASK)
    scene.hear(THREE, MessageType.ASK)
    await trio.testing.wait_all_tasks_blocked()
    assert (scene.disk.begun, scene.sent) == (1, [])
    scene.disk.may_end.release()
    await trio.testing.wait_all_tasks_blocked()
    assert scene.sent == [Message(MessageType.DURABLE, scene.history.point)]
    assert scene.disk.begun == 1, "one sync was enough"


async def test_a_change_that_is_delivered_later_is_synced_then(
    scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(scene.driver.run)
    ahead = History()
    ahead.begin(b"era", is_replaced=False)
    ahead.note(TWO, 1)
    data = Message(MessageType.ASK, ahead.point).encode()
    scene.driver.feed([Delivered(TWO, data)])
    await trio.testing.wait_all_tasks_blocked()
    assert scene.disk.begun == 0
    scene.history.note(TWO, 1)
    scene.driver.on_progress()
    await trio.testing.wait_all_tasks_blocked()
    assert scene.disk.begun == 1


async def test_a_failed_sync_for_others_tells_nothing_and_is_tried_again(
    scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(scene.driver.run)
    scene.disk.error = OperationError(EIO)
    scene.disk.may_end.release()
    scene.hear(TWO, MessageType.ASK)
    await trio.testing.wait_all_tasks_blocked()
    assert scene.sent == []
    scene.disk.error = None
    scene.disk.may_end.release()
    scene.driver.on_progress()
    await trio.testing.wait_all_tasks_blocked()
    assert [message.type for message in scene.sent] == [MessageType.DURABLE]


async def test_alone_this_nodes_disk_is_enough_after_a_while() -> None:
    scene = Scene([ME])
    promises = [scene.driver.promise]
    scene.driver.feed([TimePassed(FEW_S_MAX)])
    promises.append(scene.driver.promise)
    assert promises == [Promise.NOTHING, Promise.THIS_NODE]
    scene.disk.may_end.release()
    await scene.driver.wait()


def test_changes_alone_send_nothing(scene: Scene) -> None:
    for count in range(100):
        scene.history.note(TWO, count)
        scene.driver.on_progress()
    assert scene.sent == []


def answer_roll(scene: Scene, *members: Member) -> None:
    """Bring our call back, and the answers of these members."""
    call = next(each for each in reversed(scene.sent) if each.type is MessageType.CALL)
    answer = Message(MessageType.HERE, call.point).encode()
    scene.driver.feed([Delivered(ME, call.encode())])
    scene.driver.feed([Delivered(member, answer) for member in members])


async def test_a_roll_call_ends_with_the_last_answer(
    autojump_clock: trio.testing.MockClock, scene: Scene, nursery: trio.Nursery
) -> None:
    answers: dict[NodeId, bool] = {}

    async def ask() -> None:
        answers.update(await scene.driver.call_roll())

    nursery.start_soon(ask)
    began_s = trio.current_time()
    await trio.testing.wait_all_tasks_blocked()
    answer_roll(scene, TWO, THREE)
    await trio.testing.wait_all_tasks_blocked()
    assert answers == {1: True, 2: True, 3: True}
    assert trio.current_time() == began_s


async def test_who_does_not_answer_a_roll_call_costs_a_second_and_is_named(
    autojump_clock: trio.testing.MockClock, scene: Scene, nursery: trio.Nursery
) -> None:
    nursery.start_soon(_answer_later, scene, TWO)
    began_s = trio.current_time()
    assert await scene.driver.call_roll() == {1: True, 2: True, 3: False}
    assert trio.current_time() - began_s == pytest.approx(ROLL_WAIT_S_MAX)


async def _answer_later(scene: Scene, *members: Member) -> None:
    await trio.sleep(ROLL_WAIT_S_MAX / 2)
    answer_roll(scene, *members)


async def test_however_many_want_to_know_there_is_one_call_a_second(
    autojump_clock: trio.testing.MockClock, scene: Scene, nursery: trio.Nursery
) -> None:
    answers: list[Mapping[NodeId, bool]] = []

    async def ask() -> None:
        answers.append(await scene.driver.call_roll())

    for _ in range(50):
        nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    answer_roll(scene, TWO, THREE)
    await trio.testing.wait_all_tasks_blocked()
    await ask()
    assert scene.driver.count_silent() == 0
    assert answers == [{1: True, 2: True, 3: True}] * 51
    calls = [message for message in scene.sent if message.type is MessageType.CALL]
    assert len(calls) == 1
    await trio.sleep(ROLL_WAIT_S_MAX)
    assert scene.driver.count_silent() == 0
    assert sum(message.type is MessageType.CALL for message in scene.sent) == 2


async def test_a_roll_call_that_corosync_does_not_carry_names_nobody(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    assert await scene.driver.call_roll() == {}


async def test_calls_of_others_are_answered_whatever_the_history_does(scene: Scene) -> None:
    scene.history.end()
    scene.hear_point(TWO, MessageType.CALL, Point(1, b"caller of node 2"))
    assert scene.sent == [Message(MessageType.HERE, Point(1, b"caller of node 2"))]


async def test_silent_members_are_counted_from_the_call_before(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    assert scene.driver.count_silent() == 0
    answer_roll(scene, TWO)
    assert scene.driver.count_silent() == 0, "node 3 still has time"
    await trio.sleep(ROLL_WAIT_S_MAX)
    assert scene.driver.count_silent() == 1
    answer_roll(scene, TWO, THREE)
    assert scene.driver.count_silent() == 0


async def test_who_waits_in_fsync_is_told_with_whom_they_wait_for(
    autojump_clock: trio.testing.MockClock, scene: Scene, nursery: trio.Nursery
) -> None:
    assert scene.driver.waiting is None
    outcomes: list[str] = []
    for _ in range(2):
        nursery.start_soon(outcome_of, scene, outcomes)
    await trio.testing.wait_all_tasks_blocked()
    assert scene.driver.waiting == FsyncWait(2, ("our disk",), 0.0)
    for _ in range(2):
        scene.disk.may_end.release()
    await trio.sleep(3)
    wait = scene.driver.waiting
    assert wait is not None
    assert (wait.callers, wait.waited_s) == (2, 3.0)
    assert wait.waits_for == ("node2 (id 2)", "node3 (id 3)")
    await trio.sleep(10)
    assert outcomes == ["EIO", "EIO"]
    assert scene.driver.waiting is None


async def test_what_becomes_of_fsyncs_is_counted(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.disk.may_end.release()
    with pytest.raises(OperationError):
        await scene.driver.wait()
    scene.hear(TWO, MessageType.DURABLE)
    scene.disk.may_end.release()
    await scene.driver.wait()
    scene.disk.error = OperationError(EIO)
    scene.disk.may_end.release()
    with pytest.raises(OperationError):
        await scene.driver.wait()
    assert scene.driver.results == {"done": 1, "gave_up": 1, "failed": 1}
    assert sum(scene.driver.waits.counts) == 3
    assert scene.driver.waits.total_ns == pytest.approx(10e9, rel=0.01)

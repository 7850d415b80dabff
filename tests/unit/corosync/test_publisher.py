"""Of several texts that wait to be published, only the newest is."""

import trio
from trio.testing import wait_all_tasks_blocked

from pmxcfs.corosync.publisher import Publisher


class Host:
    """A host whose disk takes its time."""

    def __init__(self) -> None:
        self.published: list[tuple[bytes, bool]] = []
        self.may_go_on = trio.Semaphore(0)

    async def publish(self, text: bytes, notify: bool) -> None:
        self.published.append((text, notify))
        await self.may_go_on.acquire()


async def test_a_text_is_published_at_once(nursery: trio.Nursery) -> None:
    host = Host()
    publisher = Publisher(host.publish)
    publisher.put(b"before the task runs", notify=False)
    nursery.start_soon(publisher.run)
    await wait_all_tasks_blocked()
    assert host.published == [(b"before the task runs", False)]


async def test_while_one_is_written_the_newest_takes_the_place_of_those_that_wait(
    nursery: trio.Nursery,
) -> None:
    host = Host()
    publisher = Publisher(host.publish)
    nursery.start_soon(publisher.run)
    publisher.put(b"1", notify=False)
    await wait_all_tasks_blocked()
    for text, notify in ((b"2", True), (b"3", False), (b"4", False)):
        publisher.put(text, notify=notify)
    host.may_go_on.release()
    await wait_all_tasks_blocked()
    assert host.published == [(b"1", False), (b"4", True)]
    host.may_go_on.release()
    await wait_all_tasks_blocked()
    assert len(host.published) == 2

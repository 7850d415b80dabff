"""A real mount of the real daemon, standalone, one for all tests; each test gets a directory.

Every test ends with the check that the daemon is alive and complained of nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.daemon import Daemon


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.needs("root", "fuse"))


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("pmxcfs"))
    daemon.start("-l")
    yield daemon
    assert daemon.stop() == 0
    assert not daemon.is_mounted


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """Return the daemon that all tests share."""
    complaints = len(shared_daemon.complaints)
    yield shared_daemon
    shared_daemon.assert_alive()
    assert shared_daemon.complaints[complaints:] == []


@pytest.fixture
def mount(daemon: Daemon) -> Path:
    """Return the root of the mount."""
    return daemon.mountpoint


@pytest.fixture
def place(mount: Path, request: pytest.FixtureRequest) -> Path:
    """Return an empty directory of the mount for this test alone."""
    number = sum(name.name.startswith("test") for name in mount.iterdir())
    directory = mount / f"test{number}"
    directory.mkdir()
    return directory


@pytest.fixture
def new_daemon(tmp_path: Path) -> Iterator[Callable[[], Daemon]]:
    """Return a maker of daemons that this test starts and stops as it likes."""
    made: list[Daemon] = []

    def make() -> Daemon:
        daemon = Daemon(tmp_path)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.kill()
        daemon.detach()
        assert not daemon.is_mounted

"""A start that fails at one of its last steps leaves no mount behind, and says at which file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuse.daemon import Daemon

STEPS = {
    "the status socket": "run/status.sock",
    "the control socket": "run/control.sock",
    "the restart flag": "run/cfs-restart-flag",
    "the PID file": "run.pid",
}


@pytest.mark.parametrize("path", STEPS.values(), ids=STEPS)
def test_a_start_that_fails_after_mounting_leaves_no_mount(
    new_daemon: Callable[[], Daemon], tmp_path: Path, path: str
) -> None:
    daemon = new_daemon()
    (tmp_path / path / "something").mkdir(parents=True)
    said = daemon.fail_to_start("-l")
    assert not daemon.is_mounted
    assert list(daemon.mountpoint.iterdir()) == []
    assert path in said

"""The daemon runs what was compiled, and says so; without it, or when told to, the sources."""

from pathlib import Path

import pytest

from pmxcfs import compiled
from tests.fuse.daemon import Daemon


def work_on(daemon: Daemon) -> str:
    """Make every kind of change on the mount of a daemon; return the word for what it runs."""
    daemon.start("-l")
    try:
        directory = daemon.mountpoint / "priv"
        directory.mkdir()
        (directory / "lock").mkdir()
        (directory / "one").write_text("text")
        (directory / "one").rename(directory / "two")
        assert (directory / "two").read_text() == "text"
        (directory / "two").unlink()
        (directory / "lock").rmdir()
        assert list(directory.iterdir()) == []
        ready = next(line for line in daemon.log if "] info: ready" in line)
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert daemon.complaints == []
    return ready.partition("code=")[2].split()[0].rstrip(")")


def test_the_sources_serve_a_mount_when_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.INTERPRETED, "1")
    assert work_on(Daemon(tmp_path)) == "interpreted"


def test_what_was_compiled_of_these_sources_serves_a_mount(tmp_path: Path) -> None:
    expected = "compiled" if compiled.is_current() else "interpreted"
    assert work_on(Daemon(tmp_path)) == expected

"""The command line: options, their defaults, and the exit status for wrong ones."""

from pathlib import Path

import pytest

from pmxcfs.__main__ import parse


def test_the_paths_default_to_the_references() -> None:
    options = parse([])
    assert options.mountpoint == Path("/etc/pve")
    assert options.database == Path("/var/lib/pve-cluster/config.db")
    assert options.lock_file == Path("/var/lib/pve-cluster/.pmxcfs.lockfile")
    assert options.pid_file == Path("/run/pve-cluster.pid")
    assert options.corosync_conf == Path("/etc/corosync/corosync.conf")
    assert options.rrd_dir == Path("/var/lib/rrdcached/db")
    assert options.rrdcached_socket == Path("/var/run/rrdcached.sock")
    assert [options.is_local, options.is_foreground, options.is_debug] == [False] * 3


def test_short_options_can_be_grouped() -> None:
    options = parse(["-dfl"])
    assert options.is_debug
    assert options.is_foreground
    assert options.is_local


def test_fsync_waits_for_ten_seconds_unless_told_otherwise() -> None:
    assert parse([]).fsync_wait_s == 10
    assert parse(["--fsync-wait", "2.5"]).fsync_wait_s == 2.5
    assert parse(["--fsync-wait=0"]).fsync_wait_s == 0


def test_writes_are_gathered_only_for_who_asks_and_not_over_the_other_binding() -> None:
    assert not parse([]).gathers_writes
    assert parse(["--gather-writes"]).gathers_writes
    with pytest.raises(SystemExit):
        parse(["--gather-writes", "--fuse-binding=pyfuse3"])


def test_relative_paths_are_taken_from_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = parse(["--state-dir", "state", "--run-dir=run", "--nodename", "testnode"])
    assert options.database == tmp_path / "state" / "config.db"
    assert options.pid_file == tmp_path / "run.pid"
    assert options.node_name == "testnode"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--help"], 0),
        (["-x"], 1),
        (["--mount", "/x"], 1),
        (["--state-dir"], 1),
        (["--fsync-wait", "-1"], 1),
        (["--fsync-wait", "nan"], 1),
        (["--fsync-wait", "301"], 1),
        (["stray"], 255),
        (["-f", "stray"], 255),
    ],
)
def test_wrong_words_end_with_the_references_status(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == status
    captured = capsys.readouterr()
    assert "usage: pmxcfs" in (captured.err if status else captured.out)

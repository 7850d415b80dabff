"""The host's corosync.conf follows the tree's by version, whole or not at all."""

import os
import stat
from functools import partial
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from pmxcfs.corosync import host_config
from pmxcfs.corosync.host_config import Verdict, config_version, judge, publish


def conf(version: int, extra: str = "") -> bytes:
    return f"totem {{\n  config_version: {version}\n}}\n{extra}".encode()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (b"config_version: 7", 7),
        (b"config_version:7", 7),
        (b"config_version \t:\n 7", 7),
        (b"# config_version: 5\nconfig_version: 7", 5),  # the first match, even in a comment
        (b"config_version: x\nconfig_version: 7", 7),
        (b"config_version = 7", 0),
        (b"", 0),
        (b"\xff\xfe config_version: 7 \xff", 7),
    ],
)
def test_the_version_is_the_number_after_its_first_mention(text: bytes, version: int) -> None:
    assert config_version(text) == version


@pytest.mark.parametrize(
    ("text", "host_text", "verdict"),
    [
        (b"", conf(1), Verdict.EMPTY),
        (b"totem {}", None, Verdict.NO_VERSION),
        (conf(0), None, Verdict.NO_VERSION),
        (conf(2), conf(2), Verdict.SAME),
        (conf(2), conf(3), Verdict.OLDER),
        (conf(2), conf(2, "# changed"), Verdict.WRITTEN),
        (conf(3), conf(2), Verdict.WRITTEN),
        (conf(10), conf(9), Verdict.WRITTEN),
        (conf(1), None, Verdict.WRITTEN),
        (conf(1), b"", Verdict.WRITTEN),
        (conf(1), b"no version", Verdict.WRITTEN),
        (conf(3)[:-2], conf(2), Verdict.BROKEN),
        (b"config_version: 3", conf(2), Verdict.BROKEN),
        (conf(3, "nonsense"), None, Verdict.BROKEN),
        (conf(1, "nonsense"), conf(1, "nonsense"), Verdict.SAME),
    ],
)
def test_the_rules(text: bytes, host_text: bytes | None, verdict: Verdict) -> None:
    assert judge(text, host_text) is verdict


def test_a_broken_file_never_replaces_a_good_one_and_the_log_says_why(
    host_path: Path, reload: list[str]
) -> None:
    host_path.write_bytes(conf(1))
    with capture_logs() as lines:
        verdict = run_publish(conf(2, "nodelist {"), host_path, notify=True, reload_command=reload)
    assert verdict is Verdict.BROKEN
    assert host_path.read_bytes() == conf(1)
    assert reloads(host_path) == 0
    assert "section nodelist has no end" in str(lines)


def run_publish(
    text: bytes, host_path: Path, *, notify: bool, reload_command: list[str] | None = None
) -> Verdict:
    """Publish without the pause before the reload."""
    command = reload_command or ["/bin/true"]
    return trio.run(
        partial(publish, text, host_path, notify=notify, reload_command=command, reload_delay_s=0)
    )


@pytest.fixture
def host_path(tmp_path: Path) -> Path:
    return tmp_path / "corosync.conf"


@pytest.fixture
def reload(tmp_path: Path) -> list[str]:
    """A command that notes that it ran."""
    return ["/bin/sh", "-c", f"echo reload >> {tmp_path}/reloads"]


def reloads(host_path: Path) -> int:
    noted = host_path.with_name("reloads")
    return len(noted.read_text().splitlines()) if noted.exists() else 0


def test_a_newer_file_is_written_and_corosync_reloads(host_path: Path, reload: list[str]) -> None:
    host_path.write_bytes(conf(1))
    verdict = run_publish(conf(2), host_path, notify=True, reload_command=reload)
    assert verdict is Verdict.RELOADED
    assert host_path.read_bytes() == conf(2)
    assert reloads(host_path) == 1


def test_only_the_node_that_made_the_change_reloads(host_path: Path, reload: list[str]) -> None:
    host_path.write_bytes(conf(1))
    verdict = run_publish(conf(2), host_path, notify=False, reload_command=reload)
    assert verdict is Verdict.WRITTEN
    assert reloads(host_path) == 0


def test_the_first_configuration_is_written_without_a_reload(
    host_path: Path, reload: list[str]
) -> None:
    verdict = run_publish(conf(2), host_path, notify=True, reload_command=reload)
    assert verdict is Verdict.WRITTEN
    assert reloads(host_path) == 0


def test_an_older_file_changes_nothing_and_is_reported(host_path: Path, reload: list[str]) -> None:
    host_path.write_bytes(conf(3))
    with capture_logs() as lines:
        verdict = run_publish(conf(2), host_path, notify=True, reload_command=reload)
    assert verdict is Verdict.OLDER
    assert host_path.read_bytes() == conf(3)
    assert [(line["log_level"], line["host_version"]) for line in lines] == [("warning", 3)]
    assert reloads(host_path) == 0


@pytest.mark.needs("root")
def test_the_file_is_roots_and_everybody_may_read_it(host_path: Path) -> None:
    old_mask = os.umask(0o027)
    try:
        run_publish(conf(1), host_path, notify=False)
    finally:
        os.umask(old_mask)
    found = host_path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o644, 0, 0)


def test_file_and_folder_are_synced_in_the_order_that_survives_a_power_cut(
    host_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("sync folder" if is_folder else "sync file")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    run_publish(conf(1), host_path, notify=False)
    assert steps == ["sync file", "rename", "sync folder"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    host_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_path.write_bytes(conf(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run_publish(conf(2), host_path, notify=True) is Verdict.NOT_WRITTEN
    assert host_path.read_bytes() == conf(1)
    assert list(host_path.parent.iterdir()) == [host_path]


def test_a_missing_folder_is_a_verdict(tmp_path: Path) -> None:
    verdict = run_publish(conf(1), tmp_path / "missing" / "corosync.conf", notify=False)
    assert verdict is Verdict.NOT_WRITTEN


@pytest.mark.parametrize("command", [["/bin/false"], ["/nonexistent/corosync-cfgtool", "-R"]])
def test_a_reload_that_fails_is_a_verdict(host_path: Path, command: list[str]) -> None:
    host_path.write_bytes(conf(1))
    verdict = run_publish(conf(2), host_path, notify=True, reload_command=command)
    assert verdict is Verdict.NOT_RELOADED
    assert host_path.read_bytes() == conf(2)


def test_a_reload_that_hangs_is_ended(host_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host_path.write_bytes(conf(1))
    monkeypatch.setattr(host_config, "RELOAD_S_MAX", 0.1)
    command = ["/bin/sleep", "1000"]
    verdict = run_publish(conf(2), host_path, notify=True, reload_command=command)
    assert verdict is Verdict.NOT_RELOADED

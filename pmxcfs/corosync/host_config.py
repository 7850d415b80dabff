"""Brings the tree's corosync.conf to the host's file, which is the one that corosync reads."""

import os
import re
import tempfile
from collections.abc import Sequence
from enum import Enum
from functools import partial
from pathlib import Path

import structlog
import trio

from pmxcfs.corosync.conf_syntax import flaw_of
from pmxcfs.corosync.handle import in_worker, told_when_late

log = structlog.get_logger("dcdb")

RELOAD_COMMAND = ("corosync-cfgtool", "-R")
RELOAD_DELAY_S = 1.0
"""Other nodes get this long to write their files before corosync makes all nodes read them."""

WRITE_S_MAX = 10.0
"""After so long it is said that the disk hangs; newer texts wait until it does no longer."""

RELOAD_S_MAX = 30.0
MODE = 0o644

_VERSION = re.compile(rb"config_version\s*:\s*([0-9]+)")


class Verdict(Enum):
    """What became of a text that was to be published."""

    EMPTY = "the tree has no such file"
    NO_VERSION = "the text has no config_version above 0"
    BROKEN = "corosync could not read the text"
    SAME = "the host has the same text"
    OLDER = "the host has a higher config_version"
    WRITTEN = "written, and corosync was not asked to reload"
    RELOADED = "written, and corosync has reloaded"
    NOT_RELOADED = "written, but corosync could not be made to reload"
    NOT_WRITTEN = "the host's file could not be read or written"


def config_version(text: bytes) -> int:
    """Return the number after the first ``config_version:`` anywhere in the text, or 0."""
    found = _VERSION.search(text)
    return int(found[1]) if found else 0


def judge(text: bytes, host_text: bytes | None) -> Verdict:
    """Say whether a text is to be written: WRITTEN means yes. Equal versions are written.

    Args:
        text: the tree's file, empty if there is none.
        host_text: the host's file, or None if there is none.

    Source: docs/PROTOCOL.md, "corosync".
    """
    if not text:
        return Verdict.EMPTY
    if config_version(text) == 0:
        return Verdict.NO_VERSION
    if text == host_text:
        return Verdict.SAME
    if flaw_of(text) is not None:
        return Verdict.BROKEN
    if config_version(text) < config_version(host_text or b""):
        return Verdict.OLDER
    return Verdict.WRITTEN


async def publish(
    text: bytes,
    host_path: Path,
    *,
    notify: bool,
    reload_command: Sequence[str] = RELOAD_COMMAND,
    reload_delay_s: float = RELOAD_DELAY_S,
) -> Verdict:
    """Write the host's file if the tree's is not older; then make all corosyncs reload.

    It can take seconds, so it runs in a task of its own, one at a time.

    Args:
        text: the tree's file, empty if there is none.
        host_path: the host's file; it is replaced as a whole, and survives a power cut.
        notify: whether corosync is to reload; only the node that made the change asks for it, and
            only if there was a configuration before.
    """

    def on_late() -> None:
        log.warning(
            "writing corosync's configuration waits for the host's disk",
            path=str(host_path),
            waited_s=WRITE_S_MAX,
        )

    try:
        verdict, old_version = await in_worker(
            told_when_late, partial(_publish_file, text, host_path), WRITE_S_MAX, on_late
        )
    except OSError as error:
        log.warning("cannot write corosync's configuration", path=str(host_path), error=str(error))
        return Verdict.NOT_WRITTEN
    _report(verdict, host_path, text, old_version)
    if verdict is Verdict.WRITTEN and notify and old_version:
        await trio.sleep(reload_delay_s)
        return await _reload(reload_command)
    return verdict


def _publish_file(text: bytes, host_path: Path) -> tuple[Verdict, int]:
    """Judge and write; return the verdict and the version that the host had before."""
    try:
        host_text = host_path.read_bytes()
    except FileNotFoundError:
        host_text = None
    verdict = judge(text, host_text)
    if verdict is Verdict.WRITTEN:
        _replace(host_path, text)
    return verdict, config_version(host_text or b"")


def _replace(path: Path, text: bytes) -> None:
    """Write a file that is either the old or the new one at any time, and on disk afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, MODE)
            os.fchown(descriptor, 0, 0)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _reload(command: Sequence[str]) -> Verdict:
    """Make corosync, and through it all others, read the file. A hanging command is killed."""
    with trio.move_on_after(RELOAD_S_MAX):
        try:
            result = await trio.run_process(
                command,
                check=False,
                capture_stdout=True,
                capture_stderr=True,
                deliver_cancel=_kill,
            )
        except OSError as error:
            log.warning("cannot make corosync reload", command=command[0], error=str(error))
            return Verdict.NOT_RELOADED
        if result.returncode == 0:
            return Verdict.RELOADED
        output = (result.stdout + result.stderr).decode(errors="replace").strip()
        log.warning("corosync did not reload", status=result.returncode, output=output)
        return Verdict.NOT_RELOADED
    log.warning("corosync did not reload in time", waited_s=RELOAD_S_MAX)
    return Verdict.NOT_RELOADED


async def _kill(process: trio.Process) -> None:
    process.kill()


def _report(verdict: Verdict, path: Path, text: bytes, old_version: int) -> None:
    versions = {"tree_version": config_version(text), "host_version": old_version}
    match verdict:
        case Verdict.WRITTEN:
            log.info("wrote corosync's configuration", path=str(path), **versions)
        case Verdict.OLDER:
            log.warning("the host's corosync.conf is newer than the tree's", **versions)
        case Verdict.NO_VERSION:
            log.warning("the tree's corosync.conf has no config_version")
        case Verdict.BROKEN:
            log.warning(
                "corosync could not read the tree's corosync.conf, the host keeps its own",
                reason=flaw_of(text),
                **versions,
            )

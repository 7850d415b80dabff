"""Asks a running daemon over its control socket, or finds out why there is nobody to ask."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROTOCOL_VERSION = 1
ANSWER_WAIT_S_MAX = 5.0
"""The daemon answers from memory, within milliseconds; the disk gets a second of this."""

_STATES = {
    "D": "it waits for a disk or for the kernel",
    "T": "somebody has stopped it (SIGSTOP); kill -CONT lets it go on",
    "t": "a debugger has stopped it",
    "Z": "it has ended, but its parent has not noticed",
}

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to tell an operator: a fact, sentences that explain it, and commands to run next."""

    code: str
    sentence: str
    details: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class UnreachableError(Exception):
    """The daemon does not answer; ``advice`` says why as far as can be seen from outside."""

    def __init__(self, advice: Advice) -> None:
        super().__init__(advice.sentence)
        self.advice = advice


class AnswerError(Exception):
    """The daemon refuses to answer; the text says why."""


def ask(run_dir: Path, word: str, **arguments: object) -> Value:
    """Return the one answer to a request.

    Raises:
        UnreachableError: nobody answers.
        AnswerError: the daemon refuses.
    """
    for answer in follow(run_dir, word, is_endless=False, **arguments):
        return answer
    raise UnreachableError(_silent(run_dir, "it closed the connection without an answer"))


def follow(
    run_dir: Path, word: str, *, is_endless: bool = True, **arguments: object
) -> Iterator[Value]:
    """Yield the answers to a request, as they come.

    Args:
        run_dir: where the daemon has its sockets.
        word: what to ask.
        is_endless: whether answers may take any time after the connection stands.
        arguments: of the request.

    Raises:
        UnreachableError: nobody answers.
        AnswerError: the daemon refuses.
    """
    if _state_of(_pid_in(run_dir)) == "T":
        raise UnreachableError(_silent(run_dir, "it was not asked, since it cannot answer"))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(ANSWER_WAIT_S_MAX)
        try:
            connection.connect(str(run_dir / "control.sock"))
            request = {"version": PROTOCOL_VERSION, "request": word, **arguments}
            connection.sendall(json.dumps(request).encode() + b"\n")
            if is_endless:
                connection.settimeout(None)
            for line in connection.makefile("rb"):
                yield _answer_in(line)
        except TimeoutError:
            sentence = f"it has not answered within {ANSWER_WAIT_S_MAX:.0f} s"
            raise UnreachableError(_silent(run_dir, sentence)) from None
        except OSError as error:
            raise UnreachableError(_unreachable(run_dir, error)) from None


def _answer_in(line: bytes) -> Value:
    try:
        answer: Value = json.loads(line)
        error = answer.get("error")
    except (ValueError, AttributeError):
        raise AnswerError("what answers is no pmxcfs, or it was cut off") from None
    if error is not None:
        raise AnswerError(str(error.get("sentence")))
    return answer


def _silent(run_dir: Path, sentence: str) -> Advice:
    pid = _pid_in(run_dir)
    state = _state_of(pid)
    details = [sentence]
    if state is not None:
        details.append(f"its process {pid} is there" + _meaning(state))
    commands = [f"cat /proc/{pid}/stack /proc/{pid}/wchan", "journalctl -u pve-cluster -n 50"]
    if state == "T":
        commands.insert(0, f"kill -CONT {pid}")
    return Advice(
        "hangs",
        "pmxcfs runs, but does not answer",
        tuple(details),
        (*commands, "systemctl restart pve-cluster"),
    )


def _unreachable(run_dir: Path, error: OSError) -> Advice:
    if isinstance(error, PermissionError):
        sentence = "you may not ask pmxcfs: only root and the group www-data may"
        return Advice("not-allowed", sentence, (), ("sudo pmxcfs-ctl status",))
    pid = _pid_in(run_dir)
    state = _state_of(pid)
    if state is not None and isinstance(error, BlockingIOError | ConnectionRefusedError):
        return _silent(run_dir, f"connecting to its socket failed: {error.strerror}")
    if state is not None:
        return Advice(
            "no-socket",
            f"process {pid} is there as the PID file says, but has no {run_dir}/control.sock",
            ("it is starting or ending, or it is another pmxcfs that has none" + _meaning(state),),
            (f"ps -fp {pid}", "journalctl -u pve-cluster -n 50"),
        )
    return _not_running(run_dir, pid, error)


def _not_running(run_dir: Path, pid: int | None, error: OSError) -> Advice:
    details = [f"{run_dir}/control.sock: {error.strerror}"]
    if pid is None:
        details.append(f"there is no PID file {_pid_file(run_dir)}: it ended cleanly, or never ran")
    else:
        details.append(f"the PID file names process {pid}, which is gone: it was killed or crashed")
    if is_mounted(Path("/etc/pve")):
        details.append("its mount is still there, but nobody answers: remove it before the start")
    commands = ("umount --lazy /etc/pve",) if is_mounted(Path("/etc/pve")) else ()
    return Advice(
        "not-running",
        "pmxcfs does not run on this node",
        tuple(details),
        (*commands, "journalctl -u pve-cluster -n 50", "systemctl start pve-cluster"),
    )


def is_mounted(mountpoint: Path) -> bool:
    """Whether something is mounted there; the mount itself is not touched, for it may hang."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[4] == str(mountpoint) for line in mounts)


def _meaning(state: str) -> str:
    return f": {_STATES[state]}" if state in _STATES else ""


def _pid_file(run_dir: Path) -> Path:
    return run_dir.with_name(f"{run_dir.name}.pid")


def _pid_in(run_dir: Path) -> int | None:
    try:
        return int(_pid_file(run_dir).read_text())
    except (OSError, ValueError):
        return None


def _state_of(pid: int | None) -> str | None:
    """Return the letter of a process's state; None if there is no such pmxcfs."""
    if pid is None:
        return None
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return words[0] if b"pmxcfs" in command or words[0] == "Z" else None

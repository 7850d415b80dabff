"""The supervisor inside a node's init."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.namespaces import services

COMMANDS = {"corosync": ["sleep", "60"], "pmxcfs": ["sh", "-c", 'echo "said $*"; exit 3', "sh"]}


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[services.Supervisor]:
    monkeypatch.setattr(services, "LOGS", tmp_path)
    made = services.Supervisor(COMMANDS)
    yield made
    made.signal("corosync", signal.SIGKILL)
    wait_for_end(made, "corosync")


def wait_for_end(supervisor: services.Supervisor, name: str) -> int | None:
    def check() -> int | None:
        supervisor.reap()
        state = supervisor.states()[name]
        assert state["pid"] is None
        return state["exit_status"]

    return eventually(check, within_s=10, every_s=0.01)


def test_a_service_that_ended_is_remembered_by_its_status(
    supervisor: services.Supervisor, tmp_path: Path
) -> None:
    supervisor.start("pmxcfs", ["-l"])
    assert wait_for_end(supervisor, "pmxcfs") == 3
    assert (tmp_path / "pmxcfs.log").read_text().endswith("said -l\n")


def test_death_by_a_signal_reads_as_in_a_shell(supervisor: services.Supervisor) -> None:
    supervisor.start("corosync", [])
    assert supervisor.signal("corosync", signal.SIGKILL)
    assert wait_for_end(supervisor, "corosync") == 128 + 9


def test_a_running_service_is_not_started_twice(supervisor: services.Supervisor) -> None:
    supervisor.start("corosync", [])
    first = supervisor.states()["corosync"]
    supervisor.start("corosync", [])
    assert supervisor.states()["corosync"] == first


def test_a_signal_for_a_service_that_does_not_run_goes_nowhere(
    supervisor: services.Supervisor,
) -> None:
    assert not supervisor.signal("corosync", signal.SIGKILL)


def test_a_program_that_is_not_there_is_an_error_and_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LOGS", tmp_path)
    supervisor = services.Supervisor({"pmxcfs": ["/nonexistent/pmxcfs"]})
    with pytest.raises(FileNotFoundError):
        supervisor.start("pmxcfs", [])
    assert supervisor.states()["pmxcfs"] == {"pid": None, "exit_status": None}


def test_a_service_does_not_inherit_what_python_ignores(
    supervisor: services.Supervisor, tmp_path: Path
) -> None:
    supervisor.start("corosync", [])
    pid = supervisor.states()["corosync"]["pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    assert not ignored & 1 << (signal.SIGPIPE - 1)
    assert os.getsid(pid or 0) == pid

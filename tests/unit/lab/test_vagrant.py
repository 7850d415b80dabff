"""What the provider `vagrant` asks of vagrant and ssh, and what it makes of their answers.

Both are programs made up here that write down what they are asked. The ssh runs what it shall run
on this machine, the rest of it being as real as the programs that it is told to run.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pmxcfs_lab.corosync_conf import corosync_conf
from pmxcfs_lab.docker import node as node_program
from pmxcfs_lab.docker.compose_files import FOLDER
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.placing import place
from pmxcfs_lab.plan import Plan, make_plan
from pmxcfs_lab.provider import Provider, Service
from pmxcfs_lab.record import LabRecord
from pmxcfs_lab.vagrant import commands, requirements
from pmxcfs_lab.vagrant.provider import SETTINGS, UNIT, VagrantProvider

STATES = {service: {"pid": None, "exit_status": 0} for service in Service}

PROGRAM = """\
#!{python}
import json, os, subprocess, sys
here, name = {here!r}, os.path.basename(sys.argv[0])
with open(f"{{here}}/asked", "a") as asked:
    print(json.dumps({{"argv": [name, *sys.argv[1:]], "env": dict(os.environ)}}), file=asked)
answers = json.load(open(f"{{here}}/answers"))
said = answers.get(sys.argv[1] if name == "vagrant" else name)
if said is not None:
    status, out, err = said
    sys.stdout.write(out)
    sys.stderr.write(err)
    raise SystemExit(status)
if name == "ssh":
    raise SystemExit(subprocess.call(["sh", "-c", sys.argv[-1]]) % 256)
if name == "sudo":
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class Host:
    """A machine whose vagrant, ssh and sudo are made up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.answers: dict[str, tuple[int, str, str]] = {}
        self.set()
        (folder / "bin").mkdir()
        for name in ("vagrant", "ssh", "sudo"):
            program = folder / "bin" / name
            program.write_text(PROGRAM.format(python=sys.executable, here=str(folder)))
            program.chmod(0o755)

    def set(self, **answers: tuple[int, str, str]) -> None:
        """Have programs, and verbs of vagrant, answer (status, output, errors)."""
        self.answers |= answers
        (self._folder / "answers").write_text(json.dumps(self.answers))

    def asked(self, program: str) -> list[list[str]]:
        """Return the arguments of all calls of a program."""
        return [call["argv"][1:] for call in self._calls() if call["argv"][0] == program]

    def environment(self, program: str) -> Mapping[str, str]:
        """Return what the last call of a program had."""
        found: Mapping[str, str] = [
            call["env"] for call in self._calls() if call["argv"][0] == program
        ][-1]
        return found

    def _calls(self) -> list[dict[str, Any]]:
        path = self._folder / "asked"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(commands, "PATH", os.environ["PATH"])
    return host


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout("lab", tmp_path / "run", tmp_path / "state")


@pytest.fixture
def provider(layout: Layout) -> VagrantProvider:
    provider = VagrantProvider(layout)
    LabRecord(placed(provider), "vagrant", is_complete=True, owner=None).write(layout.record)
    layout.run.mkdir(parents=True)
    (layout.state / "vagrant").mkdir(parents=True)
    return provider


@pytest.fixture
def reached(provider: VagrantProvider, layout: Layout) -> VagrantProvider:
    """Return the provider of a lab that was brought up."""
    (layout.state / "vagrant" / "ssh-config").write_text("Host node1\n")
    return provider


def placed(provider: Provider, nodes: int = 2, **binaries: str) -> Plan:
    return place(make_plan("lab", nodes, binaries), provider, "vagrant")


def test_up_has_vagrant_make_the_machines_of_the_plan(
    host: Host, provider: VagrantProvider, layout: Layout
) -> None:
    host.set(
        **{"ssh-config": (0, "Host node1\n  Port 2222\n", "")},
        up=(0, "==> node1: Booting VM...\n    node1: SSH address\n", ""),
        ssh=(0, json.dumps(STATES), ""),
    )
    said: list[str] = []
    provider.up(placed(provider), guard_fd=0, say=said.append)
    assert host.asked("vagrant") == [
        ["up", "--no-color", "node1", "node2"],
        ["ssh-config", "node1"],
        ["ssh-config", "node2"],
    ]
    environment = host.environment("vagrant")
    assert environment["VAGRANT_CWD"] == str(FOLDER)
    assert environment["VAGRANT_DOTFILE_PATH"] == str(layout.state / "vagrant")
    assert (environment["NODES"], environment["CLUSTER"]) == ("2", "lab")
    assert environment["SUBNET"] == provider.network
    assert environment["AUTOSTART"] == "no"
    assert said[-1] == "node1: Booting VM..."


def test_every_machine_is_told_what_it_is_and_then_asked_until_it_answers(
    host: Host, provider: VagrantProvider, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    host.set(**{"ssh-config": (0, "Host node2\n", "")}, up=(0, "", ""))
    host.set(ssh=(0, json.dumps(STATES), ""))
    provider.up(placed(provider, node2=str(other)), guard_fd=0, say=lambda _: None)
    told = [argv[-1] for argv in host.asked("ssh") if argv[-2] == "node2"]
    order = [SETTINGS, str(other), f"systemctl start {UNIT}", "pmxcfs_lab.docker.ask"]
    assert len(told) == len(order)
    for words, line in zip(order, told, strict=True):
        assert words in line


def test_a_machine_has_the_settings_that_its_first_program_reads(
    host: Host, reached: VagrantProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "etc" / "default" / "node"
    monkeypatch.setattr("pmxcfs_lab.vagrant.provider.SETTINGS", str(settings))
    reached.python = str(tmp_path / "python")
    Path(reached.python).write_text(f"#!/bin/sh\necho '{json.dumps(STATES)}'\n")
    Path(reached.python).chmod(0o755)
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text("#!/bin/sh\n")
    systemctl.chmod(0o755)
    host.set(**{"ssh-config": (0, "", "")}, up=(0, "", ""))
    plan = placed(reached, nodes=1)
    reached.up(plan, guard_fd=0, say=lambda _: None)
    environment = dict(line.split("=", 1) for line in settings.read_text().splitlines())
    read = node_program.plan_from(environment)
    assert replace(plan, nodes=read.nodes) == read
    assert corosync_conf(read) == corosync_conf(plan)
    assert (environment["AUTOSTART"], environment["LOCAL"]) == ("no", "no")


def test_vagrants_file_gives_the_machines_the_addresses_that_the_lab_reckons_with(
    provider: VagrantProvider,
) -> None:
    text = (FOLDER / "Vagrantfile").read_text()
    assert f'ip: "#{{SUBNET}}.#{{{provider.offset} + number}}"' in text
    assert f'"$SUBNET" $(({provider.offset} + $1))' in (FOLDER / "provision.sh").read_text()
    assert placed(provider).nodes[0].address == f"{provider.network}.11"


@pytest.mark.parametrize("name", ["NODES", "SUBNET", "CLUSTER", "AUTOSTART"])
def test_vagrants_file_hands_on_what_the_lab_sets(name: str) -> None:
    text = (FOLDER / "Vagrantfile").read_text()
    assert f'ENV.fetch("{name}"' in text
    assert f'"{name}" => ' in text


def test_that_vagrant_fails_is_told_with_its_last_words(
    host: Host, provider: VagrantProvider
) -> None:
    host.set(up=(1, "==> node1: Booting VM...\nno such box\n", "try another\n"))
    with pytest.raises(LabError, match="vagrant up failed") as caught:
        provider.up(placed(provider), guard_fd=0, say=lambda _: None)
    assert "no such box\ntry another" in caught.value.hint


def test_a_machine_that_was_not_provisioned_to_its_end_is_said_to_be(
    host: Host, provider: VagrantProvider
) -> None:
    host.set(**{"ssh-config": (0, "", "")}, up=(0, "", ""), ssh=(1, "", "Permission denied\n"))
    with pytest.raises(LabError, match="Permission denied") as caught:
        provider.up(placed(provider), guard_fd=0, say=lambda _: None)
    assert "provisioned" in caught.value.hint


def test_who_runs_is_read_from_what_vagrant_says(host: Host, provider: VagrantProvider) -> None:
    lines = (
        "1796095543,node2,metadata,provider,libvirt",
        "1796095543,node2,state,running",
        "1796095543,node1,state,shutoff",
        "1796095543,node1,state-human-short,shutoff",
        "1796095543,node3,state,running",
        "",
    )
    host.set(status=(0, "\n".join(lines), ""))
    assert provider.running() == ("node2", "node3")
    assert host.asked("vagrant") == [["status", "--machine-readable"]]


def test_a_command_arrives_as_it_was_given(host: Host, reached: VagrantProvider) -> None:
    words = ["a b", "'c'", '"$HOME"', "", "*", "d\ne"]
    done = reached.exec("node1", ["printf", "<%s>", *words])
    assert done.stdout.decode() == "".join(f"<{word}>" for word in words)
    assert host.asked("ssh")[0][-2] == "node1"
    assert [argv[0] for argv in host.asked("sudo")] == ["--"]


def test_a_command_gets_its_input_and_its_status_is_told(
    host: Host, reached: VagrantProvider
) -> None:
    done = reached.exec("node1", ["sh", "-c", "cat; echo no >&2; exit 7"], stdin=b"\x00yes")
    assert (done.exit_status, done.stdout, done.stderr) == (7, b"\x00yes", b"no\n")
    assert reached.exec("node1", ["sh", "-c", "kill -9 $$"]).exit_status == 128 + 9
    assert reached.exec("node1", ["sh", "-c", "exit 255"]).exit_status == commands.SSH_FAILED
    assert len(host.asked("ssh")) == 3


def test_a_machine_that_is_not_reached_is_no_answer(host: Host, reached: VagrantProvider) -> None:
    host.set(ssh=(255, "", "ssh: connect to host 127.0.0.1 port 2222: Connection refused\n"))
    with pytest.raises(LabError, match=r"node1 is not reached: .*refused"):
        reached.exec("node1", ["true"])


def test_a_command_that_takes_too_long_is_given_up(host: Host, reached: VagrantProvider) -> None:
    with pytest.raises(LabError, match="did not answer within"):
        reached.exec("node1", ["sleep", "30"], timeout_s=0.5)


def test_before_up_nobody_is_reached(provider: VagrantProvider) -> None:
    with pytest.raises(LabError, match="node1 does not run"):
        provider.exec("node1", ["true"])


def test_services_are_asked_for_through_the_first_program(
    host: Host, reached: VagrantProvider
) -> None:
    host.set(ssh=(0, json.dumps(STATES), ""))
    reached.start("node1", Service.PMXCFS, local=True)
    reached.kill("node1", [Service.COROSYNC])
    start, kill, _ = (argv[-1] for argv in host.asked("ssh"))
    assert '"verb": "start", "service": "pmxcfs", "extra": ["-l"]' in start
    assert '"services": ["corosync"], "signal": "SIGKILL"' in kill


def test_what_the_first_program_refuses_is_told(host: Host, reached: VagrantProvider) -> None:
    host.set(ssh=(1, "", "node1: FileNotFoundError: no such program\n"))
    with pytest.raises(LabError, match="no such program"):
        reached.start("node1", Service.PMXCFS)


def test_a_cut_is_kept_by_the_packet_filter_of_every_node(
    host: Host, reached: VagrantProvider
) -> None:
    states = "".join(f"1,node{number},state,running\n" for number in (1, 2))
    host.set(status=(0, states, ""), ssh=(0, "", ""))
    reached.partition((("node1",), ("node2",)))
    assert sorted(argv[-2] for argv in host.asked("ssh")) == ["node1", "node2"]
    assert all(argv[-1].endswith("nft -f -") for argv in host.asked("ssh"))
    host.set(status=(0, "1,node1,state,running\n1,node2,state,shutoff\n", ""))
    with pytest.raises(LabError, match="node2 does not run"):
        reached.partition((("node1",), ("node2",)))


def test_down_without_machines_asks_vagrant_for_nothing(
    host: Host, provider: VagrantProvider, layout: Layout
) -> None:
    assert provider.down() is False
    assert host.asked("vagrant") == []
    assert not layout.run.exists()


def test_down_removes_all_machines_and_what_is_known_of_them(
    host: Host, reached: VagrantProvider, layout: Layout
) -> None:
    known = layout.state / "vagrant" / "machines" / "node1" / "libvirt" / "id"
    known.parent.mkdir(parents=True)
    known.write_text("5f0c")
    (layout.run / "ssh-node1").write_text("")
    host.set(destroy=(0, "", ""), ssh=(0, "", ""))
    assert reached.down() is True
    assert host.asked("vagrant") == [["destroy", "--force"]]
    assert host.asked("ssh")[0][-3:] == ["-O", "exit", "node1"]
    assert not known.exists()
    assert not layout.run.exists()


def test_machines_that_cannot_be_removed_stay_known(
    host: Host, reached: VagrantProvider, layout: Layout
) -> None:
    known = layout.state / "vagrant" / "machines" / "node1" / "libvirt" / "id"
    known.parent.mkdir(parents=True)
    known.write_text("5f0c")
    host.set(destroy=(1, "", "libvirt does not answer\n"))
    with pytest.raises(LabError, match="destroy --force") as caught:
        reached.down()
    assert "libvirt does not answer" in caught.value.hint
    assert known.exists()


def test_logs_are_copies_and_those_of_the_last_time_stay(
    host: Host, reached: VagrantProvider
) -> None:
    host.set(ssh=(0, "it is up\n", ""))
    assert [path.read_text() for path in reached.logs("node1").values()] == ["it is up\n"] * 3
    host.set(ssh=(255, "", "ssh: no route to host\n"))
    assert sorted(reached.logs("node1")) == ["corosync", "corosync output", "pmxcfs"]


def test_a_client_has_a_connection_of_its_own(reached: VagrantProvider) -> None:
    words = " ".join(reached.attach_argv("node1", ["cat", "a b"]))
    assert "ControlMaster" not in words
    assert words.endswith("cat 'a b'")


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda provider: provider.running(), "apt-get install vagrant"),
        (lambda provider: provider.up(placed(provider), guard_fd=0, say=print), "install vagrant"),
        (lambda provider: provider.exec("node1", ["true"]), "openssh-client"),
    ],
    ids=["status", "up", "ssh"],
)
def test_without_the_programs_one_is_told_how_to_get_them(
    call: Callable[[VagrantProvider], object],
    advice: str,
    reached: VagrantProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match="There is no") as caught:
        call(reached)
    assert advice in caught.value.hint


def test_all_that_a_machine_lacks_is_named_at_once(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del host
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nonexistent")
    named = [what for what, _ in requirements.missing()]
    assert named == ["vagrant", "ssh", "rsync", "libvirt or VirtualBox"]
    for name in ("rsync", "libvirtd"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert requirements.missing() == []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [what for what, _ in requirements.missing()] == ["root"]


def test_what_machines_do_not_have_is_refused_before_anything_is_made(
    provider: VagrantProvider,
) -> None:
    with pytest.raises(LabError, match="at most 5"):
        placed(provider, nodes=6)
    with pytest.raises(LabError, match="can shrink"):
        provider.remove("node1")
    assert provider.switch() is None
    assert provider.capabilities == frozenset()

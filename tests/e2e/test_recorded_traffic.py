"""Traffic that nobody has seen before: three nodes of the reference, recorded and relived by ours.

Their seed is another one in each run (TRAFFIC_SEED repeats the operations; what the network makes
of them is new each time). The recordings stay in build/recorded-traffic.
"""

import os
import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from pmxcfs.memdb.locks import LOCK_LIFETIME_S
from tests.golden.recordings import cluster_in, recordings_in, relive, relive_status

from .conftest import MakeLab
from .mounts import SETTLES_WITHIN_S, wait_for_quorum
from .services import end
from .where import PYTHON, REPOSITORY

pytestmark = [pytest.mark.needs("reference"), pytest.mark.thorough]

STATE = "/var/lib/pve-cluster"
PROGRAM = """\
#!/bin/sh
TRAFFIC_FOLDER={folder} LD_PRELOAD={library} exec {reference} "$@"
"""
OPERATIONS = 12
LOCK = "/etc/pve/priv/lock/expires"


class Recorder:
    """Stops and starts the daemons of a lab, and keeps their databases in between."""

    def __init__(self, lab: Lab, traffic: Path, folder: Path) -> None:
        self.lab = lab
        self.traffic = traffic
        self.folder = folder
        self.lives: Counter[str] = Counter()

    def start(self, *names: str) -> None:
        """Begin a life of each of these daemons, and of corosync where it does not run."""
        for name in names:
            self.lives[name] += 1
            self._keep(name, "begin")
            self.lab.start(name)

    def end(self, *names: str, kill: Sequence[Service] = ()) -> None:
        """End the life of each of these daemons, by SIGTERM, or by kill -9 of services."""
        for name in names:
            if kill:
                self.lab.kill(name, kill)
            else:
                end(self.lab, name, [Service.PMXCFS])
            self._keep(name, "end")

    def edit_alone(self, name: str, text: str) -> None:
        """Change the tree of a node whose daemon does not run, in local mode."""
        self.lab.start(name, [Service.PMXCFS], local=True)
        script = (
            "until mountpoint -q /etc/pve; do sleep 0.1; done; "
            f"echo {text} > /etc/pve/alone && rm -f /etc/pve/doomed && mkdir /etc/pve/by-{name}"
        )
        done = self.lab.exec(name, "sh", "-c", script)
        assert done.exit_status == 0, done.stderr
        end(self.lab, name, [Service.PMXCFS])

    def finish(self) -> None:
        """Give what each process has written down the name of its life."""
        for name in self.lab.plan.names:
            paths = sorted(self.traffic.glob(f"{name}-*.jsonl"))
            assert len(paths) == self.lives[name]
            for number, path in enumerate(paths, 1):
                shutil.copy(path, self.folder / f"{name}-{number:02}.jsonl")
        text = self.lab.exec("node1", "cat", "/etc/corosync/corosync.conf").stdout
        (self.folder / "corosync.conf").write_bytes(text)

    def _keep(self, name: str, word: str) -> None:
        """Copy a database that nobody has open, with what is still in its log."""
        path = self.folder / f"{name}-{self.lives[name]:02}-{word}.db"
        for suffix in ("", "-wal"):
            copied = self.lab.exec(name, "cat", f"{STATE}/config.db{suffix}")
            if copied.exit_status == 0:
                path.with_name(path.name + suffix).write_bytes(copied.stdout)
        if path.exists():
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.execute("PRAGMA journal_mode=DELETE")
            database.close()


@pytest.fixture
def recorder(
    request: pytest.FixtureRequest, make_lab: MakeLab, tmp_path: Path
) -> Iterator[Recorder]:
    """Three nodes that were started once, together, with nothing."""
    traffic, library, program = (
        tmp_path / name for name in ("traffic", "traffic_recorder.so", "pmxcfs")
    )
    traffic.mkdir()
    source = Path(__file__).with_name("traffic_recorder.c")
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    reference = os.environ["PMXCFS_REFERENCE"]
    text = PROGRAM.format(folder=traffic, library=library, reference=reference)
    program.write_text(text)
    program.chmod(0o755)
    folder = REPOSITORY / "build" / "recorded-traffic" / request.node.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lab = make_lab(3, binaries=dict.fromkeys(("node1", "node2", "node3"), str(program)))
    recorder = Recorder(lab, traffic, folder)
    recorder.lives.update(lab.plan.names)
    yield recorder
    lab.down()


class Hands:
    """Random changes below a folder of one's own, and what the daemon refuses."""

    def __init__(self, lab: Lab, rng: random.Random) -> None:
        self._lab = lab
        self._rng = rng
        self._number = 0

    def work(self, *names: str) -> None:
        """Have these nodes change their trees side by side."""
        programs = {}
        for name in names:
            argv = self._lab.attach_argv(name, ["sh", "-c", self._script(name)])
            programs[name] = subprocess.Popen(argv, stderr=subprocess.PIPE)
        for name, program in programs.items():
            _, said = program.communicate(timeout=SETTLES_WITHIN_S)
            assert program.returncode == 0, f"{name}: {said.decode()}"

    def _script(self, name: str) -> str:
        self._number += 1
        top = f"/etc/pve/{name}-{self._number}"
        lines = [f"mkdir -p /etc/pve/priv/lock {top}/a {top}/b && echo 0 > {top}/f0"]
        for number in range(1, OPERATIONS):
            line = self._rng.choice(CHANGES)
            size = self._rng.choice((1, 700, 5_000, 70_000))
            lines.append(line.format(top=top, n=number, size=size, offset=size // 2))
        return "\n".join(f"{{ {line}; }} || exit 1" for line in lines)


CHANGES = (
    "yes {top}-{n} | head -c {size} > {top}/f{n}",
    "yes {top}-{n} | head -c {size} >> {top}/f0",
    "printf xyz | dd of={top}/f0 bs=1 seek={offset} conv=notrunc status=none",
    "echo not empty > {top}/f0 && truncate -s {offset} {top}/f0",
    "echo {n} > {top}/draft && mv {top}/draft {top}/a/final",
    "mkdir {top}/b/d{n} && mv {top}/b/d{n} {top}/a/d{n}",
    "mkdir {top}/d{n} && rmdir {top}/d{n}",
    ": > {top}/e{n} && rm {top}/e{n}",
    "touch -d @160000{n:04} {top}/f0",
    "mkdir /etc/pve/priv/lock/l{n}; touch /etc/pve/priv/lock/l{n}; :",
    "mkdir /etc/pve/priv/lock/l{n}; touch -d @0 /etc/pve/priv/lock/l{n}; :",
    "mkdir {top}/a; rmdir {top}; mv {top}/a {top}/f0; :",
)
"""None extends an empty file by its size alone, which ends the reference at the next read."""


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("TRAFFIC_SEED", random.randrange(10**6)))
    print(f"TRAFFIC_SEED={seed}")
    return random.Random(seed)


def test_recordings_that_nobody_has_seen_replay_exactly(
    recorder: Recorder, rng: random.Random
) -> None:
    hands, names = Hands(recorder.lab, rng), recorder.lab.plan.names
    hands.work(*names)
    tell(recorder.lab, rng)
    for name in rng.sample(names, 2):
        be_away(recorder, hands, name)
    for name in rng.sample(names, 2):
        be_cut_off(recorder.lab, hands, name)
    be_all_cut_off(recorder.lab)
    be_away(recorder, hands, rng.choice(names), kill=[Service.PMXCFS])
    be_away(recorder, hands, rng.choice(names), kill=[Service.COROSYNC, Service.PMXCFS])
    lose_corosync(recorder.lab, hands, rng.choice(names))
    make_two_trees_of_one_version(recorder, rng)
    hands.work(*names)
    tell(recorder.lab, rng)
    break_a_lock(recorder.lab, *rng.sample(names, 2))
    recorder.end(*names)
    recorder.finish()

    sent = relive_all(recorder.folder)
    assert all(sent[kind] > 5 for kind in ("SYNC_START", "STATE", "UPDATE", "UPDATE_COMPLETE"))
    assert sent["NORMAL"] > 10 * OPERATIONS


def be_away(recorder: Recorder, hands: Hands, name: str, *, kill: Sequence[Service] = ()) -> None:
    """End a daemon, let the others go on, and start it again."""
    recorder.end(name, kill=kill)
    the_others_work(recorder.lab, hands, name)
    recorder.start(name)
    settle(recorder.lab)
    hands.work(*recorder.lab.plan.names)


def be_cut_off(lab: Lab, hands: Hands, name: str) -> None:
    lab.partition(name)
    wait_for_quorum(lab, name, expected=False)
    the_others_work(lab, hands, name)
    lab.heal()
    settle(lab)


def be_all_cut_off(lab: Lab) -> None:
    lab.partition(*lab.plan.names)
    for name in lab.plan.names:
        wait_for_quorum(lab, name, expected=False)
    lab.heal()
    settle(lab)


def lose_corosync(lab: Lab, hands: Hands, name: str) -> None:
    """The daemon lives on, and joins anew."""
    lab.kill(name, [Service.COROSYNC])
    the_others_work(lab, hands, name)
    lab.start(name)
    settle(lab)


def make_two_trees_of_one_version(recorder: Recorder, rng: random.Random) -> None:
    """Two nodes change as much alone, but not the same."""
    lab, names = recorder.lab, recorder.lab.plan.names
    assert lab.exec(names[0], "sh", "-c", "echo doomed > /etc/pve/doomed").exit_status == 0
    settle(lab)
    recorder.end(*rng.sample(names, 3))
    for name in rng.sample(names, 2):
        recorder.edit_alone(name, f"{name}-{rng.random()}")
    recorder.start(*rng.sample(names, 3))
    settle(lab)


def the_others_work(lab: Lab, hands: Hands, name: str) -> None:
    others = [other for other in lab.plan.names if other != name]
    lab.wait(others, within_s=SETTLES_WITHIN_S)
    hands.work(*others)


def relive_all(folder: Path) -> Counter[str]:
    """Relive what a folder has; return how many messages of the tree's group were compared."""
    corosync_conf = (folder / "corosync.conf").read_bytes()
    sent: Counter[str] = Counter()
    for recording in recordings_in(folder):
        sent.update(relive(recording, corosync_conf))
        relive_status(recording, cluster_in(corosync_conf))
    return sent


def break_a_lock(lab: Lab, holder: str, other: str) -> None:
    """Ask for the lock of another node until the lowest one removes it."""
    assert lab.exec(holder, "mkdir", "-p", LOCK).exit_status == 0

    def check() -> None:
        lab.exec(other, "touch", "-c", "-d", "@0", LOCK)
        assert lab.exec(other, "test", "-e", LOCK).exit_status != 0

    eventually(check, within_s=2 * LOCK_LIFETIME_S, every_s=5.0)


def settle(lab: Lab) -> None:
    lab.wait(within_s=SETTLES_WITHIN_S)
    lab.trees_are_equal()


def tell(lab: Lab, rng: random.Random) -> None:
    """Have management clients log and publish things on all nodes that have quorum."""
    program = Path(__file__).with_name("ipc_client.py").read_text()
    for name in lab.plan.names:
        number = rng.randrange(1000)
        for arguments in (
            ("log", f'{name} said "{number}"'),
            ("set", f"kv/k{number % 3}", f"{number}"),
        ):
            answer = lab.exec(name, PYTHON, "-c", program, *arguments)
            assert answer.exit_status == 0, answer.stderr

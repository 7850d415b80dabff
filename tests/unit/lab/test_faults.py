"""Faults as values: their JSON, their words, what a seed draws, and what they ask of a lab."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults import catalogue
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.disks import FLIP, BitFlips
from pmxcfs_lab.faults.edits import EditAlone
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.links import LinkQuality, OneWayLoss
from pmxcfs_lab.faults.partitions import Bridge, Halves, Isolate, MajorityRing, Partition
from pmxcfs_lab.faults.services import Hang, Kill, RestartStorm, Stop
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.provider import Completed

from tests.unit.lab.paper import PLAN, PaperNodes

FIVE = make_plan("lab", 5)
MIXED = make_plan("lab", 3, {"node2": "/usr/bin/other"})
SWITCHED = make_plan("lab", 5, options=Options(switch=True, disk=True))


@pytest.fixture
def paper() -> PaperNodes:
    return PaperNodes()


@pytest.fixture
def lab(tmp_path: Path, paper: PaperNodes) -> Lab:
    layout = Layout("lab", tmp_path / "run", tmp_path / "state")
    made = Lab(layout, paper, "paper")
    made.up(PLAN)
    layout.run.mkdir(parents=True, exist_ok=True)
    paper.asked.clear()
    return made


def some_of_each() -> list[Fault]:
    drawn = [
        kind.draw(Random(seed), plan)
        for kind in catalogue.KINDS
        for plan in (FIVE, SWITCHED, MIXED, PLAN)
        for seed in range(20)
    ]
    return [EditAlone("node3"), *(fault for fault in drawn if fault is not None)]


def test_every_kind_can_be_drawn_but_what_overrules_the_others() -> None:
    drawn = {fault.name for fault in some_of_each()[1:]}
    assert drawn == set(catalogue.CATALOGUE) - {EditAlone.name}


def test_a_seed_flips_no_bits_where_nobody_could_notice() -> None:
    flips = [fault for fault in some_of_each() if isinstance(fault, BitFlips)]
    assert {fault.file for fault in flips} == {"config.db-wal"}


def flip(path: Path) -> None:
    subprocess.run([sys.executable, "-c", FLIP, path, "3", "5"], check=True)


def test_bits_are_flipped_as_the_seed_says_and_where_there_are_any(tmp_path: Path) -> None:
    path, again, empty = tmp_path / "one", tmp_path / "again", tmp_path / "empty"
    for file in (path, again):
        file.write_bytes(bytes(100))
        flip(file)
    assert path.read_bytes() == again.read_bytes()
    assert sum(byte.bit_count() for byte in path.read_bytes()) in (1, 3)
    empty.touch()
    flip(empty)
    flip(tmp_path / "missing")
    assert empty.read_bytes() == b""
    assert not (tmp_path / "missing").exists()


def test_json_gives_back_the_same_fault() -> None:
    for fault in some_of_each():
        text = json.dumps(catalogue.to_json(fault))
        assert catalogue.from_json(json.loads(text)) == fault


def test_words_give_back_the_same_fault() -> None:
    for fault in some_of_each():
        name, *words = catalogue.to_words(fault).split(" ")
        assert catalogue.from_words(name, words) == fault


def test_people_may_say_2_for_node2() -> None:
    assert catalogue.from_words("kill", ["node=2"]) == Kill("node2")
    assert catalogue.from_words("halves", ["one=1,2"]) == Halves(("node1", "node2"))
    sides = (("node1", "node2"), ("node3",))
    assert catalogue.from_words("partition", ["groups=1,2/3"]) == Partition(sides)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("flood", [], 'no fault "flood"'),
        ("kill", ["node"], "no field of kill"),
        ("kill", ["name=x"], "no field of kill"),
        ("kill", ["node=99"], "is no node"),
        ("kill", [], "This is no kill"),
        ("restart_storm", ["node=1", "times=often"], "cannot be its value"),
    ],
)
def test_words_that_make_no_fault_are_answered_with_what_would(
    name: str, words: list[str], message: str
) -> None:
    with pytest.raises(LabError, match=message) as caught:
        catalogue.from_words(name, words)
    assert caught.value.hint or "node" in message


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": "kill"},
        {"name": "kill", "node": 2},
        {"name": "kill", "node": "node1", "speed": 3},
        {"name": "halves", "one": "node1"},
        {"name": "restart_storm", "node": "node1", "times": True},
    ],
)
def test_json_of_another_shape_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(LabError):
        catalogue.from_json(value)


def test_one_seed_draws_the_same_faults_again_and_another_seed_others() -> None:
    def drawn(seed: int) -> list[Fault]:
        chance = Random(seed)
        return [catalogue.draw(chance, FIVE) for _ in range(30)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_only_the_kinds_asked_for_are_drawn() -> None:
    chance = Random(1)
    names = {catalogue.draw(chance, FIVE, ["kill", "halves"]).name for _ in range(30)}
    assert names == {"kill", "halves"}


def test_a_lab_that_can_have_none_of_the_kinds_is_told_so() -> None:
    with pytest.raises(LabError, match="None of these faults"):
        catalogue.draw(Random(1), make_plan("lab", 1), ["isolate", "halves"])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Isolate("node7"), "no node7"),
        (Halves(("node1", "node2")), "is not half"),
        (Partition((("node1",), ("node1", "node2"))), "two sides"),
        (Kill("node1", "sshd"), 'no service "sshd"'),
        (RestartStorm("node1", 0), "A storm is"),
        (Bridge("node1", ("node1",)), "on no side"),
        (Bridge("node1", ("node2",)), "at least 3 nodes"),
        (MajorityRing(("node1",)), "each once"),
        (OneWayLoss("node1", "node1"), "not on any link"),
        (OneWayLoss("node1", "node2", 2), "is a share"),
        (LinkQuality(), "Nothing would be bad"),
        (LinkQuality(loss=2.0), "shares from 0 to 1"),
        (LinkQuality(loss=0.5, link=1), "no link 1"),
        (LinkQuality(delay_ms=5.0), "only loss can be had"),
    ],
)
def test_a_fault_that_cannot_be_says_why_and_nothing_is_done(
    lab: Lab, paper: PaperNodes, fault: Fault, reason: str
) -> None:
    with pytest.raises(LabError, match=reason):
        Active(lab).inject(fault)
    assert paper.asked == []


@pytest.mark.parametrize(
    ("fault", "done", "undone"),
    [
        (Kill("node2", "pmxcfs"), "kill node2 pmxcfs", "start node2 pmxcfs"),
        (Hang("node2", "corosync"), "SIGSTOP node2 corosync", "start node2 pmxcfs"),
        (Stop("node2", "pmxcfs"), "stop node2 pmxcfs", "start node2 pmxcfs"),
    ],
)
def test_a_fault_is_done_and_undone(
    lab: Lab, paper: PaperNodes, fault: Fault, done: str, undone: str
) -> None:
    active = Active(lab)
    active.inject(fault)
    assert paper.asked[-1] == done
    assert active.faults() == [fault]
    active.heal(fault)
    assert paper.asked[-1] == undone
    assert active.faults() == []


def test_another_command_heals_what_is_active_the_last_one_first(
    lab: Lab, paper: PaperNodes
) -> None:
    Active(lab).inject(Hang("node1"))
    Active(lab).inject(Kill("node2", "pmxcfs"))
    paper.asked.clear()
    last_first: list[Fault] = [Kill("node2", "pmxcfs"), Hang("node1")]
    assert Active(lab).heal_all() == last_first
    assert paper.asked.index("start node2 pmxcfs") < paper.asked.index("SIGCONT node1 pmxcfs")
    assert Active(lab).faults() == []


def test_what_was_not_done_cannot_be_healed(lab: Lab) -> None:
    with pytest.raises(LabError, match="does not have this fault"):
        Active(lab).heal(Isolate("node1"))


def test_a_service_that_ends_where_the_fault_does_not_reach_is_an_error(
    lab: Lab, paper: PaperNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(node: str, services: object) -> None:
        paper.exits.add("node1")
        paper.serving.clear()

    monkeypatch.setattr(paper, "kill", kill)
    with pytest.raises(LabError, match="node1: corosync exited 255 by kill elsewhere"):
        Active(lab).inject(Kill("node2"))


def heard(fault: Isolate | Bridge | MajorityRing, node: str) -> set[str]:
    cut = {rule.from_ for rule in fault.rules(FIVE) if rule.to == node}
    return set(FIVE.names) - cut


def test_an_isolated_node_hears_only_itself_and_is_heard_by_nobody() -> None:
    fault = Isolate("node2")
    assert heard(fault, "node2") == {"node2"}
    assert all("node2" not in heard(fault, name) for name in FIVE.names if name != "node2")


def test_both_sides_reach_the_bridge_and_not_each_other() -> None:
    fault = Bridge("node3", ("node1", "node2"))
    assert heard(fault, "node3") == set(FIVE.names)
    assert heard(fault, "node1") == {"node1", "node2", "node3"}
    assert heard(fault, "node5") == {"node3", "node4", "node5"}


def test_in_a_ring_every_node_hears_a_majority_and_no_two_the_same() -> None:
    majorities = [heard(MajorityRing(FIVE.names), name) for name in FIVE.names]
    assert all(len(one) == 3 for one in majorities)
    assert all(name in one for name, one in zip(FIVE.names, majorities, strict=True))
    assert len({frozenset(one) for one in majorities}) == 5


def test_two_faults_of_one_link_add_up_and_heal_one_by_one(
    lab: Lab, paper: PaperNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters: dict[str, str] = {}

    def execute(
        node: str, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> Completed:
        filters[node] = stdin.decode() or filters.get(node, "")
        return Completed(0, b"", b"")

    monkeypatch.setattr(paper, "exec", execute)
    active = Active(lab)
    active.inject(Isolate("node2"))
    active.inject(OneWayLoss("node1", "node2", 0.25))
    assert "ip saddr 10.97.0.1 drop" in filters["node2"]
    active.heal(Isolate("node2"))
    assert "ip saddr 10.97.0.1 numgen random mod 10000 < 2500 drop" in filters["node2"]
    assert "saddr" not in filters["node1"]
    active.heal(OneWayLoss("node1", "node2", 0.25))
    assert "saddr" not in filters["node2"]

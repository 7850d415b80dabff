"""Faults as values: their JSON, their words, what a seed draws, and what they ask of a lab."""

import json
from pathlib import Path
from random import Random

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults import catalogue
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.partitions import Halves, Isolate, Partition
from pmxcfs_lab.faults.services import Hang, Kill, RestartStorm, Stop
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import make_plan

from tests.unit.lab.paper import PLAN, PaperNodes

FIVE = make_plan("lab", 5)


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
        for plan in (FIVE, PLAN)
        for seed in range(20)
    ]
    return [fault for fault in drawn if fault is not None]


def test_every_kind_can_be_drawn() -> None:
    assert {fault.name for fault in some_of_each()} == set(catalogue.CATALOGUE)


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
        (Isolate("node2"), "partition (('node2',), ('node1',))", "partition (('node1', 'node2'),)"),
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
    healed = Active(lab).heal_all()
    assert healed == [Kill("node2", "pmxcfs"), Hang("node1")]
    assert paper.asked.index("start node2 pmxcfs") < paper.asked.index("SIGCONT node1 pmxcfs")
    assert Active(lab).faults() == []


def test_what_was_not_done_cannot_be_healed(lab: Lab) -> None:
    with pytest.raises(LabError, match="does not have this fault"):
        Active(lab).heal(Isolate("node1"))


def test_a_service_that_ends_where_the_fault_does_not_reach_is_an_error(
    lab: Lab, paper: PaperNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def partition(groups: object) -> None:
        paper.exits.add("node1")
        paper.serving.clear()

    monkeypatch.setattr(paper, "partition", partition)
    with pytest.raises(LabError, match="node1: corosync exited 255 by isolate elsewhere"):
        Active(lab).inject(Isolate("node2"))

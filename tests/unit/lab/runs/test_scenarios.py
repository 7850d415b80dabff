"""Scenarios: what the seed chooses, what a file makes, who takes part."""

import re
import textwrap
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.catalogue import CATALOGUE, to_words
from pmxcfs_lab.faults.edits import EditAlone
from pmxcfs_lab.faults.partitions import Isolate
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.runs.scenario import QUIET_AT_THE_END_S, Chaos, During, Scenario, read_scenario
from pmxcfs_lab.runs.scenarios import CHAOS, SCENARIOS, named
from pmxcfs_lab.runs.traffic import EVERYDAY, cast
from pmxcfs_lab.runs.validators.catalogue import BY_NAME

PLAN = make_plan("lab", 5, options=Options(switch=True, disk=True))
LAB_MD = (Path(__file__).parents[4] / "docs" / "LAB.md").read_text()

TEN_LINES = """
from pmxcfs_lab.runs.scenario import During, Scenario
from pmxcfs_lab.runs.traffic import Locks, Reads, Updates

scenario = Scenario(
    name="a-cut",
    about="node 3 is cut off",
    traffic=(Updates(), Reads(), Locks()),
    faults=(During(5, 10, "isolate node=3"),),
)
"""


def words_of(scenario: Scenario, seed: int, seconds: float = 300.0) -> list[str]:
    return [
        f"{begin_s} {end_s} {to_words(fault)}"
        for begin_s, end_s, fault in scenario.schedule(seed, PLAN, seconds)
    ]


def test_the_same_seed_chooses_the_same_faults_and_another_one_others() -> None:
    assert words_of(CHAOS, 7) == words_of(CHAOS, 7)
    assert words_of(CHAOS, 7) != words_of(CHAOS, 8)
    assert len(words_of(CHAOS, 7)) > 5


def test_the_last_fault_heals_some_time_before_the_end() -> None:
    for seed in range(20):
        spans = CHAOS.schedule(seed, PLAN, 120.0)
        assert max(end_s for _, end_s, _ in spans) <= 120.0 - QUIET_AT_THE_END_S


def test_chaos_keeps_to_the_kinds_that_it_is_told() -> None:
    chaos = Chaos(kinds=("isolate", "kill"))
    found = {during.resolved()[2].name for during in chaos.schedule(Random(1), PLAN, 1000.0)}
    assert found == {"isolate", "kill"}


def test_without_overlap_no_fault_begins_before_the_one_before_has_healed() -> None:
    spans = CHAOS.schedule(7, PLAN, 600.0)
    assert all(end_s < begin_s for (_, end_s, _), (begin_s, _, _) in pairwise(spans))


def test_chaos_draws_every_kind_that_it_can_have_sooner_or_later() -> None:
    plan = make_plan("lab", 5, {"node2": "/usr/bin/older"}, options=PLAN.options)
    drawn = {fault.name for seed in range(30) for _, _, fault in CHAOS.schedule(seed, plan, 600.0)}
    assert drawn == set(CATALOGUE) - {EditAlone.name}


def test_a_fault_is_given_in_words_or_as_a_value() -> None:
    assert During(1, 2, "isolate node=3").resolved() == (1, 3, Isolate("node3"))
    assert During(1, 2, Isolate("node3")).resolved() == (1, 3, Isolate("node3"))
    with pytest.raises(LabError, match="There is no fault"):
        During(1, 2, "meteorite node=3").resolved()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_named_scenario_names_faults_and_validators_that_exist(scenario: Scenario) -> None:
    assert named(scenario.name) is scenario
    plan = make_plan("lab", scenario.nodes)
    for begin_s, end_s, _ in scenario.schedule(1, plan, scenario.seconds):
        assert 0 < begin_s < end_s < scenario.seconds
    assert set(scenario.validators) <= set(BY_NAME)


def test_an_unknown_scenario_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(LabError) as refused:
        named("paradise")
    assert "chaos" in refused.value.hint


def test_a_scenario_of_ten_lines_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.py"
    path.write_text(TEN_LINES)
    scenario = read_scenario(path)
    assert words_of(scenario, 1) == ["5 15 isolate node=node3"]


def test_the_scenario_of_the_documentation_is_one() -> None:
    (program,) = re.findall(r"^(?:    .*\n|\n)*?    scenario = (?:.*\n)+?    \)\n", LAB_MD, re.M)
    assert len(program.strip().splitlines()) <= 11
    made: dict[str, Scenario] = {}
    exec(textwrap.dedent(program), made)
    assert words_of(made["scenario"], 1) == [
        "5 15 isolate node=node3",
        "25 30 kill node=node1 service=pmxcfs",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("x = 1", "makes no scenario"), ("scenario = 1", "makes no scenario"), ("1/0", "fails")],
)
def test_a_file_that_makes_no_scenario_is_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(LabError, match=complaint):
        read_scenario(path)
    with pytest.raises(LabError, match="There is no file"):
        read_scenario(tmp_path / "none.py")


def test_readers_know_what_others_write_and_no_two_clients_have_one_name() -> None:
    clients = cast(EVERYDAY, PLAN.names)
    names = [client.name for client in clients]
    assert len(set(names)) == len(names)
    written = {file for client in clients for file in client.files}
    for client in clients:
        if client.kind in ("read", "ask"):
            assert set(client.options["paths"]) == written

"""Faults of links on a lab with its own switch: felt, healed, and the same from a seed."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.faults import timetable
from pmxcfs_lab.faults.applying import Active
from pmxcfs_lab.faults.catalogue import draw
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.links import LinkQuality, OneWayLoss
from pmxcfs_lab.faults.partitions import Bridge, Halves, Isolate, MajorityRing
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.options import Options
from pmxcfs_lab.provider import Capability

from .conftest import MakeLab, mend
from .datagrams import Arrived, heard, send

pytestmark = pytest.mark.lab_has(Capability.SWITCH)

COUNT = 100
FELT_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def switched(make_lab: MakeLab) -> Lab:
    return make_lab(3, options=Options(crypto=True, links=2, switch=True))


@pytest.fixture
def lab(switched: Lab) -> Iterator[Lab]:
    mend(switched)
    yield switched
    Active(switched).heal_all()
    switched.trees_are_equal()


def with_fault(lab: Lab, fault: Fault, from_: str = "node1", to: str = "node2") -> list[Arrived]:
    active = Active(lab)
    active.inject(fault)
    arrived = send(lab, from_, to, COUNT)
    active.heal(fault)
    return arrived


def test_frames_are_late_one_way_and_not_the_other(lab: Lab) -> None:
    fault = LinkQuality("node1", "node2", delay_ms=80.0)
    there = with_fault(lab, fault)
    assert len(there) == COUNT
    assert min(one.took_s for one in there) >= 0.08
    back = with_fault(lab, fault, "node2", "node1")
    assert min(one.took_s for one in back) < 0.08


def test_frames_are_lost_come_twice_and_overtake_each_other(lab: Lab) -> None:
    lost = with_fault(lab, LinkQuality("node1", "node2", loss=0.5))
    assert 20 <= len(lost) <= 80
    twice = with_fault(lab, LinkQuality("node1", "node2", duplicate=1.0))
    assert len(twice) == 2 * COUNT
    mixed = with_fault(lab, LinkQuality("node1", "node2", reorder=0.3))
    assert len(mixed) == COUNT
    assert mixed != sorted(mixed, key=lambda one: one.number)


def test_a_damaged_frame_is_dropped_by_the_receiving_kernel(lab: Lab) -> None:
    arrived = with_fault(lab, LinkQuality("node1", "node2", corrupt=0.5))
    assert 20 <= len(arrived) <= 80


@pytest.mark.thorough
def test_a_slow_link_carries_no_more_than_its_rate(lab: Lab) -> None:
    arrived = with_fault(lab, LinkQuality("node1", "node2", rate_kbit=800.0))
    assert max(one.took_s for one in arrived) > 0.3


@pytest.mark.thorough
def test_a_jittery_link_delays_each_frame_differently(lab: Lab) -> None:
    took = [one.took_s for one in with_fault(lab, LinkQuality("node1", jitter_ms=60.0))]
    assert len(took) == COUNT
    assert max(took) - min(took) > 0.02


@pytest.mark.thorough
def test_what_one_node_sends_to_another_is_lost_and_not_the_other_way(lab: Lab) -> None:
    active = Active(lab)
    active.inject(OneWayLoss("node1", "node2"))
    reach = heard(lab)
    assert reach["node2"] == {"node3"}
    assert reach["node1"] == {"node2", "node3"}
    active.heal(OneWayLoss("node1", "node2"))
    lab.trees_are_equal()


def test_with_one_of_two_links_dead_the_cluster_goes_on(lab: Lab) -> None:
    active = Active(lab)
    active.inject(LinkQuality(link=0, loss=1.0))
    assert send(lab, "node1", "node2", 2) == []
    assert len(send(lab, "node1", "node2", 2, link=1)) == 2

    def says(words: str) -> None:
        assert words in lab.exec("node1", "corosync-cfgtool", "-s").stdout.decode()

    eventually(lambda: says("disconnected"), within_s=FELT_WITHIN_S)
    lab.wait()
    active.heal(LinkQuality(link=0, loss=1.0))
    assert len(send(lab, "node1", "node2", 2)) == 2


@pytest.mark.thorough
def test_only_the_bridge_reaches_both_sides(lab: Lab) -> None:
    active = Active(lab)
    active.inject(Bridge("node2", ("node1",)))
    assert heard(lab) == {"node1": {"node2"}, "node2": {"node1", "node3"}, "node3": {"node2"}}
    active.heal(Bridge("node2", ("node1",)))
    lab.trees_are_equal()


@pytest.mark.thorough
def test_in_a_ring_each_hears_the_one_before_it(lab: Lab) -> None:
    active = Active(lab)
    active.inject(MajorityRing(lab.plan.names))
    assert heard(lab) == {"node1": {"node3"}, "node2": {"node1"}, "node3": {"node2"}}
    active.heal(MajorityRing(lab.plan.names))
    lab.trees_are_equal()


@pytest.mark.thorough
def test_an_isolated_node_loses_quorum_and_a_partition_on_top_stays_when_it_heals(
    lab: Lab,
) -> None:
    active = Active(lab)
    active.inject(Isolate("node1"))

    def only_two() -> None:
        assert [row.quorate for row in lab.statuses()] == [False, True, True]

    eventually(only_two, within_s=FELT_WITHIN_S)
    active.inject(Halves(("node1",)))
    active.heal(Isolate("node1"))
    assert heard(lab)["node1"] == set()
    active.heal(Halves(("node1",)))


def test_a_seeds_timetable_fires_the_same_faults_at_the_same_moments_again(
    lab: Lab, tmp_path: Path
) -> None:
    def run(seed: int) -> str:
        chance = Random(seed)
        timed = []
        for number in range(6):
            fault = draw(chance, lab.plan, ["link_quality", "one_way_loss", "kill"])
            for event, at_s in (("inject", 0.2 * number), ("heal", 0.2 * number + 0.15)):
                moment = timetable.draw_moment(chance, at_s)
                timed.append(timetable.Timed(moment, event, fault))  # type: ignore[arg-type]
        timetable.begin(lab, seed, timed)

        def is_over() -> list[dict[str, object]]:
            fired = timetable.fired(lab)
            assert len(fired) == len(timed)
            return fired

        return json.dumps(eventually(is_over, within_s=20))

    lab.switch().capture(tmp_path / "frames.pcap")
    first = run(7)
    lab.switch().capture(None)
    assert run(7) == first
    assert run(8) != first
    assert (tmp_path / "frames.pcap").stat().st_size > 1000
    lab.wait()

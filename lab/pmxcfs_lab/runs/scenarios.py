"""Scenarios by name: chaos, and what has gone wrong for others.

Source: docs/LAB.md, "Scenarios".
"""

from collections.abc import Mapping

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.scenario import Chaos, During, Scenario
from pmxcfs_lab.runs.traffic import EVERYDAY, Locks, Reads, Updates

CHAOS = Scenario(
    "chaos",
    "Faults that the seed chooses come and go under everyday traffic.",
    faults=Chaos(),
    seconds=300,
    disk=True,
)

BRISK = Scenario(
    "brisk",
    "A few short faults of five kinds within a minute, as `make test` has them.",
    faults=Chaos(
        kinds=("isolate", "halves", "kill", "stop", "hang"), lasts_s=(3, 6), pause_s=(3, 5)
    ),
    seconds=36,
)

SCENARIOS: tuple[Scenario, ...] = (
    CHAOS,
    BRISK,
    Scenario(
        "calm",
        "No fault at all: everyday traffic, and a lock whose holder crashes.",
        traffic=(*EVERYDAY, Locks(name="crash", names=("held",), abandoned="abandoned")),
        seconds=200,
    ),
    Scenario(
        "corosync-killed-under-load",
        "Everybody writes fast while corosync is killed on one node, then on another: its mount "
        "is read-only at once and comes back by itself.",
        traffic=(*EVERYDAY, Updates(name="load", every_s=0.02, files=1)),
        faults=(
            During(6, 8, "kill node=2 service=corosync"),
            During(24, 8, "kill node=1 service=corosync"),
        ),
    ),
    Scenario(
        "hanging-peer",
        "One daemon hangs while a member goes and comes: everybody else gets an answer in time.",
        faults=(
            During(6, 70, "hang node=3"),
            During(9, 4, "kill node=2 service=pmxcfs"),
        ),
        seconds=95,
    ),
    Scenario(
        "stale-node-with-edits",
        "Node 3 leaves, somebody edits files there with `pmxcfs -l`, and it comes back: the "
        "others' tree wins, and what it wrote is kept.",
        faults=(During(6, 14, "edit_alone node=3 files=5"),),
        seconds=40,
    ),
    Scenario(
        "ghost-member",
        "Node 1 comes back with an old configuration of corosync, which joins the ring and ends at "
        "once: nobody may wait for such a member for ever.",
        traffic=(Updates(every_s=3.0), Reads()),
        faults=(During(6, 40, "old_configuration node=1"),),
        seconds=75,
    ),
    Scenario(
        "power-cut",
        "All nodes lose power at once, twice, with all that their disks had not got: what was "
        "fsynced is there afterwards, on all of them.",
        traffic=(*EVERYDAY, Updates(name="kept", every_s=0.3, files=0, lines=5, sync_one_in=1)),
        faults=(
            During(12, 5, "power_off nodes=1,2,3 seed=1"),
            During(40, 5, "power_off nodes=1,2,3 seed=2 keep=0.5"),
        ),
        seconds=70,
        disk=True,
    ),
    Scenario(
        "slow-node",
        "Node 1 hears and says little, and its corosync is restarted every 25 s, while nodes 2 and "
        "3 write all the time (corosync issue 660): it must not stay unwritable.",
        traffic=(*EVERYDAY, Updates(name="steady", every_s=0.2, on=("node2", "node3"))),
        faults=(
            During(5, 140, "link_quality from_=all to=node1 rate_kbit=2000"),
            During(5, 140, "link_quality from_=node1 to=all rate_kbit=2000"),
            *(During(10 + 25 * turn, 5, "restart_storm node=1 times=1") for turn in range(5)),
        ),
        seconds=170,
    ),
    Scenario(
        "no-majority",
        "All nodes are cut off from each other: nobody accepts a change, and none is lost.",
        faults=(During(8, 15, "partition groups=1/2/3"),),
        seconds=45,
    ),
)

BY_NAME: Mapping[str, Scenario] = {scenario.name: scenario for scenario in SCENARIOS}


def named(name: str) -> Scenario:
    """Return the scenario.

    Raises:
        LabError: there is none of that name.
    """
    scenario = BY_NAME.get(name)
    if scenario is None:
        raise LabError(f'There is no scenario "{name}".', f"Known: {', '.join(BY_NAME)}.")
    return scenario

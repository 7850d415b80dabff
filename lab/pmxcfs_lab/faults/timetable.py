"""Faults at moments of virtual time, fired by the lab's switch: the same again from a seed.

Faults of links happen in the switch, exactly between two frames. Of all others the switch says when
their moment has come, and whoever listens does them at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from pmxcfs_lab.faults.catalogue import to_json
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.shaping import LinkFault
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.links.rules import rules_to_json
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.switch.timing import Entry, Moment

FRAMES_LATER_MAX = 15
"""So many frames into its tick a moment is drawn; an idle cluster sends about one in each."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A fault that begins or ends at a moment.

    Attributes:
        moment: before the first frame with its number.
        event: what happens to it.
        fault: which.
    """

    moment: Moment
    event: Literal["inject", "heal"]
    fault: Fault


def draw_moment(chance: Random, virtual_s: float) -> Moment:
    """Return a moment in the tick of that time, some frames into it."""
    return Moment.at(virtual_s, chance.randint(0, FRAMES_LATER_MAX))


def is_done_by_the_switch(fault: Fault) -> bool:
    """Tell if the switch itself does it; all other faults are up to whoever listens."""
    return isinstance(fault, LinkFault)


def begin(lab: Lab, seed: int, timetable: Sequence[Timed]) -> None:
    """Start virtual time and have the switch fire this timetable.

    Args:
        lab: was brought up with `switch`.
        seed: of what happens to single frames.
        timetable: in any order.

    Raises:
        LabError: the lab has no switch of its own.
    """
    lab.switch().begin(seed, [_entry(timed, lab.plan) for timed in timetable])


def fired(lab: Lab) -> list[dict[str, Any]]:
    """Return what fired since `begin`: {"event", "fault", "virtual_t", "frame"} each, in order.

    For one timetable it is the same in every run, byte for byte, once its last moment is over.
    """
    return lab.switch().fired()


def events(lab: Lab, within_s: float) -> Iterator[dict[str, Any]]:
    """Yield the same from now on, as it fires; call it before `begin`, or the first may be missed.

    Raises:
        LabError: nothing fired within `within_s`.
    """
    return lab.switch().events(within_s)


def _entry(timed: Timed, plan: Plan) -> Entry:
    fault = timed.fault
    note = {"event": timed.event, "fault": to_json(fault)}
    if not isinstance(fault, LinkFault):
        return Entry(timed.moment, None, [], note)
    rules = fault.rules(plan) if timed.event == "inject" else ()
    return Entry(timed.moment, fault.key, rules_to_json(rules), note)

"""Doing a run's faults when their time has come: by the clock, or as the lab's own switch says."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Literal

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults import timetable
from pmxcfs_lab.faults.catalogue import from_json, to_json, to_words
from pmxcfs_lab.faults.fault import Fault
from pmxcfs_lab.faults.timetable import Timed, draw_moment
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Say
from pmxcfs_lab.runs.folder import FaultEvent, RunWriter, Violation

FAULTS = "faults"
"""In the place of a validator: what went wrong with doing and undoing faults."""

SWITCH_LATE_S = 60.0

Scheduled = tuple[float, float, Fault]
"""When a fault begins and ends, in seconds of the run, and which it is."""

Event = Literal["inject", "heal", "refused"]


class Play:
    """Does faults to a lab, and records what happened when.

    Attributes:
        complaints: faults that could not be done, or undone.
    """

    def __init__(self, lab: Lab, writer: RunWriter, began_s: float, say: Say) -> None:
        self._lab = lab
        self._writer = writer
        self._began_s = began_s
        self._say = say
        self._active: list[Fault] = []
        self.complaints: list[Violation] = []

    def perform(self, schedule: Sequence[Scheduled], seed: int) -> None:
        """Do all of them in the order of time; return when the last one has healed."""
        possible = [scheduled for scheduled in schedule if self._is_possible(*scheduled)]
        if not self._lab.plan.options.switch:
            self._by_the_clock(possible)
        elif possible:
            self._by_the_switch(possible, seed)

    def heal_all(self) -> None:
        """End what is not ended yet, and start what does not run."""
        for fault in reversed(list(self._active)):
            self._heal(fault)
        self._attempt(self._lab.heal, "making the network whole")
        for name in self._lab.plan.names:
            self._attempt(partial(self._lab.start, name), f"starting {name}")

    def _is_possible(self, begin_s: float, _end_s: float, fault: Fault) -> bool:
        reason = fault.available(self._lab)
        if reason is not None:
            self._note("refused", fault, begin_s)
            self._say(f"{to_words(fault)}: refused: {reason}")
        return reason is None

    def _by_the_clock(self, schedule: Sequence[Scheduled]) -> None:
        moments = [(begin_s, False, number) for number, (begin_s, _, _) in enumerate(schedule)]
        moments += [(end_s, True, number) for number, (_, end_s, _) in enumerate(schedule)]
        for at_s, is_end, number in sorted(moments):
            time.sleep(max(0.0, self._began_s + at_s - time.monotonic()))
            fault = schedule[number][2]
            if is_end:
                self._heal(fault, at_s)
            else:
                self._inject(fault, at_s)

    def _by_the_switch(self, schedule: Sequence[Scheduled], seed: int) -> None:
        """Let the switch say when; faults of links it does itself, between two frames."""
        timed = list(timed_of(schedule, seed))
        timetable.begin(self._lab, seed, timed)
        events = timetable.events(self._lab, schedule[-1][1] + SWITCH_LATE_S)
        for _, event in zip(timed, events, strict=False):
            fault, at_s, frame = from_json(event["fault"]), event["virtual_t"], event["frame"]
            if event["event"] == "heal":
                self._heal(fault, at_s, frame)
            else:
                self._inject(fault, at_s, frame)

    def _inject(self, fault: Fault, at_s: float, frame: int | None = None) -> None:
        self._say(to_words(fault))
        self._note("inject", fault, at_s, frame)
        self._active.append(fault)
        if frame is None or not timetable.is_done_by_the_switch(fault):
            self._attempt(partial(fault.inject, self._lab), to_words(fault))

    def _heal(self, fault: Fault, at_s: float | None = None, frame: int | None = None) -> None:
        self._active.remove(fault)
        if frame is None or not timetable.is_done_by_the_switch(fault):
            self._attempt(partial(fault.heal, self._lab), f"healing {to_words(fault)}")
        self._say(f"{to_words(fault)}: healed")
        self._note("heal", fault, at_s, frame)

    def _note(
        self, event: Event, fault: Fault, at_s: float | None, frame: int | None = None
    ) -> None:
        self._writer.fault(FaultEvent(self._now_s(), event, to_json(fault), at_s, frame))

    def _now_s(self) -> float:
        return round(time.monotonic() - self._began_s, 3)

    def _attempt(self, work: Callable[[], None], what: str) -> None:
        try:
            work()
        except LabError as error:
            self.complaints.append(Violation(FAULTS, self._now_s(), f"{what}: {error}"))


def timed_of(schedule: Sequence[Scheduled], seed: int) -> list[Timed]:
    """Return a schedule's moments in virtual time, to the frame, as the seed chooses them."""
    chance = Random(f"{seed}/moments")
    timed = []
    for begin_s, end_s, fault in schedule:
        timed.append(Timed(draw_moment(chance, begin_s), "inject", fault))
        timed.append(Timed(draw_moment(chance, end_s), "heal", fault))
    return timed

"""What fsync can promise at the moment, said once per change.

Where too few nodes run this program, or are there at all, no majority can ever have the change. As
long as we are quorate all the same, fsync then promises this node's disk alone: to fail would help
nobody. That takes effect only after a while, so that a daemon that is restarted weakens nothing.
"""

from enum import Enum

import structlog

from pmxcfs.durable.votes import Votes
from pmxcfs.identity import NodeId

FEW_S_MAX = 5.0
"""How long too few have to be there before we ask for less: a daemon restarts within seconds."""

log = structlog.get_logger("dcdb")


class Promise(Enum):
    """What a successful fsync means. The values are what people are shown."""

    MAJORITY = "majority"
    THIS_NODE = "this node"
    NOTHING = "nothing"
    """It waits: for quorum, for others to come, or for the list of nodes."""


class Promises:
    """Finds out what can be promised.

    Attributes:
        votes: of the cluster's nodes.
        present: the nodes that take part in the durability group, ourselves among them.
        is_quorate: what corosync says of us.
    """

    def __init__(self) -> None:
        self.votes = Votes()
        self.present: frozenset[NodeId] = frozenset()
        self.is_quorate = False
        self._few_s = 0.0
        self._said = Promise.MAJORITY

    @property
    def now(self) -> Promise:
        """What a successful fsync means now."""
        if self.votes.are_majority(self.present):
            return Promise.MAJORITY
        return Promise.THIS_NODE if self._few_s >= FEW_S_MAX else Promise.NOTHING

    def learn_quorum(self, is_quorate: bool) -> None:
        """Take over what corosync says; without quorum we never ask for less."""
        self.is_quorate = is_quorate
        self.pass_time(0.0)

    def pass_time(self, passed_s: float) -> None:
        """Let time go by, and say what has changed."""
        if not self.is_quorate or not self.present or self.votes.are_majority(self.present):
            self._few_s = 0.0
        elif self.votes.expected:
            self._few_s += passed_s
        if self.now is not Promise.NOTHING and self.now is not self._said:
            self._say()

    def _say(self) -> None:
        self._said = self.now
        nodes = {
            "present": sorted(self.present),
            "missing": sorted(self.votes.of.keys() - self.present),
        }
        if self._said is Promise.MAJORITY:
            log.info("fsync waits for a majority of the nodes again", **nodes)
        else:
            log.warning(
                "fsync promises no more than this node's disk: the nodes that run this program "
                "have no majority of the votes",
                **nodes,
            )

"""How well frames get from one node to another: lost one way, late, twice, damaged, slowly."""

from dataclasses import dataclass, fields
from random import Random
from typing import ClassVar, Self

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.faults.fault import lacks_nodes
from pmxcfs_lab.faults.shaping import EVERYBODY, LinkFault
from pmxcfs_lab.links.rules import Quality, Rule
from pmxcfs_lab.plan import Plan

ANY_LINK = -1


@dataclass(frozen=True, slots=True)
class OneWayLoss(LinkFault):
    """What one node sends to another gets lost; the other direction works.

    Attributes:
        from_: whose frames are lost, or "all".
        to: on the way to whom, or "all".
        loss: share of them, 1 for every one.
    """

    name: ClassVar[str] = "one_way_loss"
    from_: str
    to: str
    loss: float = 1.0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault."""
        if len(plan.names) < 2:
            return None
        from_, to = chance.sample(plan.names, 2)
        return cls(from_, to, chance.choice((1.0, 1.0, 0.5, 0.2)))

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        if not 0 < self.loss <= 1:
            return "loss is a share above 0, at most 1."
        return _unsuitable(plan, self.from_, self.to)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        return _rules(plan, self.from_, self.to, Quality(loss=self.loss), None)


@dataclass(frozen=True, slots=True)
class LinkQuality(LinkFault):
    """A way is bad, in one respect or several; shares are from 0 to 1. See `links.rules.Quality`.

    Attributes:
        from_: the sending node, or "all".
        to: the receiving node, or "all".
        link: number of the link, -1 for all.
    """

    name: ClassVar[str] = "link_quality"
    from_: str = EVERYBODY
    to: str = EVERYBODY
    link: int = ANY_LINK
    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate_kbit: float = 0.0

    @classmethod
    def draw(cls, chance: Random, plan: Plan) -> Self | None:
        """See Fault: mild enough that corosync copes with most of it."""
        if len(plan.names) < 2 or not plan.options.switch:
            return None
        whom = chance.choice((EVERYBODY, *plan.names))
        ways = ((whom, EVERYBODY), (EVERYBODY, whom))
        from_, to = chance.choice(ways)
        some = {
            "loss": chance.choice((0.01, 0.05, 0.2)),
            "delay_ms": chance.choice((1.0, 10.0, 50.0)),
            "jitter_ms": chance.choice((1.0, 10.0, 50.0)),
            "duplicate": chance.choice((0.05, 0.3)),
            "reorder": chance.choice((0.05, 0.3)),
            "corrupt": chance.choice((0.01, 0.05)),
            "rate_kbit": chance.choice((1000.0, 10_000.0)),
        }
        chosen = chance.sample(sorted(some), chance.randint(1, 3))
        return cls(from_, to, ANY_LINK, **{key: some[key] for key in chosen})

    def unsuitable(self, plan: Plan) -> str | None:
        """See LinkFault."""
        if not ANY_LINK <= self.link < plan.options.links:
            return f"There is no link {self.link} in this lab."
        try:
            quality = self._quality()
        except LabError as error:
            return str(error)
        if quality == Quality():
            return "Nothing would be bad about it: say for example loss=0.1."
        return _unsuitable(plan, self.from_, self.to)

    def rules(self, plan: Plan) -> tuple[Rule, ...]:
        """See LinkFault."""
        link = None if self.link == ANY_LINK else self.link
        return _rules(plan, self.from_, self.to, self._quality(), link)

    def _quality(self) -> Quality:
        return Quality(**{field.name: getattr(self, field.name) for field in fields(Quality)})


def _unsuitable(plan: Plan, from_: str, to: str) -> str | None:
    if from_ == to != EVERYBODY:
        return "A node's way to itself is not on any link."
    named = [name for name in (from_, to) if name != EVERYBODY]
    return lacks_nodes(plan, *named, at_least=2)


def _rules(plan: Plan, from_: str, to: str, quality: Quality, link: int | None) -> tuple[Rule, ...]:
    senders = plan.names if from_ == EVERYBODY else (from_,)
    receivers = plan.names if to == EVERYBODY else (to,)
    return tuple(
        Rule(sender, receiver, quality, link)
        for sender in senders
        for receiver in receivers
        if sender != receiver
    )

"""Members of the group that do not exist.

When a node's corosync joins the ring and dies in the same moment, its processes can stay in the
group for ever (corosync pull request 828). They never send their state, so no synchronisation
would end. What betrays them is that the ring, as the quorum service reports it, lacks their node.
"""

from collections.abc import Iterable

import structlog

from pmxcfs.identity import Member, NodeId

SILENCE_S_MAX = 15.0
"""A living member is in the ring milliseconds after it is in the group."""


class Ghosts:
    """Counts for how long each member has been silent and its node not in the ring.

    Args:
        domain: whose log lines these are.

    Attributes:
        ring: the nodes in the ring; none while the quorum service is away.
    """

    def __init__(self, domain: str) -> None:
        self._log = structlog.get_logger(domain)
        self.ring: frozenset[NodeId] = frozenset()
        self._silent_s: dict[Member, float] = {}
        self._ghosts: frozenset[Member] = frozenset()

    def __contains__(self, member: Member) -> bool:
        """Whether a member is none."""
        return member in self._ghosts

    def learn_ring(self, node_ids: Iterable[NodeId]) -> None:
        """Take over which nodes are in the ring; none while the quorum service is away."""
        self.ring = frozenset(node_ids)

    def hear(self, member: Member) -> None:
        """Note that a member has said something."""
        if self._silent_s.pop(member, None) is not None:  # all ghosts are among them
            self._ghosts -= {member}

    def living(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """Return the members of a new configuration without the ghosts among them."""
        listed = frozenset(members)
        self._ghosts &= listed
        self._silent_s = {
            member: waited_s for member, waited_s in self._silent_s.items() if member in listed
        }
        for member in (listed - self._ghosts).difference(self._silent_s):
            self._silent_s[member] = 0.0
        return tuple(sorted(listed - self._ghosts))

    def pass_time(self, passed_s: float, me: Member | None) -> frozenset[Member]:
        """Let time go by; return the members that turn out to be ghosts now.

        Args:
            passed_s: since the last call.
            me: ourselves; as long as the ring lacks us too, it tells nothing.
        """
        if me is None or me.node_id not in self.ring:
            return frozenset()
        for member, waited_s in self._silent_s.items():
            is_absent = member.node_id not in self.ring
            self._silent_s[member] = waited_s + passed_s if is_absent else 0.0
        found = frozenset(
            member for member, waited_s in self._silent_s.items() if waited_s >= SILENCE_S_MAX
        )
        new, self._ghosts = found - self._ghosts, self._ghosts | found
        if new:
            self._log.warning(
                "members of the group do not exist: their nodes are not in the ring. They are not "
                "waited for any more; restart corosync on their nodes",
                members=[f"node {member.node_id}, pid {member.pid}" for member in sorted(new)],
                ring=sorted(self.ring),
            )
        return new

"""How members come to agree again after the membership changed.

The lowest node names an epoch, all send their states, and from the states all draw the same
conclusions: who is in sync, and who leads and so sends updates to those who are not.

Source: docs/PROTOCOL.md, "Synchronisation".
"""

from collections.abc import Mapping
from hashlib import sha256

from pmxcfs.dfsm.application import Comparison
from pmxcfs.dfsm.core import Core
from pmxcfs.dfsm.delivery import Deliveries
from pmxcfs.dfsm.events import ConfigurationChange
from pmxcfs.dfsm.modes import Mode
from pmxcfs.dfsm.wire import MessageType, StateHeader
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member


class Synchronisation:
    """The steps from a configuration change to agreement.

    All of them raise ProtocolError where we cannot go on and must leave the group.
    """

    def __init__(self, core: Core, deliveries: Deliveries) -> None:
        self._core = core
        self._deliveries = deliveries

    def begin(self, change: ConfigurationChange, now_s: int) -> None:
        """Synchronise with the members of a new configuration, of which we are one."""
        core = self._core
        if len(core.members) > 1:
            self._begin_with_others(change, now_s)
        else:
            core.history.begin(_name_of_epoch(core), is_replaced=False)
            core.become_synced((), now_s)
            core.members.mark_synced(core.members.all)
            self._deliveries.deliver_held(now_s)

    def answer_sync_start(
        self, sender: Member, header: StateHeader, payload: bytes, now_s: int
    ) -> None:
        """Join the epoch of whoever starts, and tell our state in it."""
        core = self._core
        if sender.node_id != core.members.lowest_node_id:
            core.log.warning("not the lowest node started a synchronisation", sender=sender)
        core.outgoing.epoch = header.epoch
        core.members.drop_states()
        state = core.application.state()
        if not state:
            raise ProtocolError("we have no state to tell")
        core.multicast(MessageType.STATE, state, now_s)

    def gather_state(self, sender: Member, header: StateHeader, payload: bytes, now_s: int) -> None:
        """Keep a member's state; with the last one in, see who is in sync."""
        core = self._core
        core.members.add_state(sender, payload)
        if core.members.awaiting:
            return
        comparison = core.application.compare_states(core.members.states)
        core.members.mark_synced(comparison.synced)
        core.leader = comparison.leader
        core.agreement = _name_of_epoch(core) + _digest_of(comparison.leader, core.members.states)
        self._log_verdict(comparison)
        self._send_updates(comparison, now_s)
        self._draw_conclusion(comparison, now_s)

    def collect_update(
        self, sender: Member, header: StateHeader, payload: bytes, now_s: int
    ) -> None:
        """Keep an update."""
        self._core.application.collect_update(payload)

    def commit(self, sender: Member, header: StateHeader, payload: bytes, now_s: int) -> None:
        """Become what the leader is, then apply what was sent in the meantime."""
        core = self._core
        effects = core.application.commit(now_s)
        core.members.mark_synced(core.members.all)
        core.history.begin(core.agreement, is_replaced=True)
        core.become_synced([*effects, *core.application.on_agreed(now_s)], now_s)
        self._deliveries.deliver_following(now_s)
        self._deliveries.deliver_held(now_s)
        core.application.drop_sync()

    def release(self, sender: Member, header: StateHeader, payload: bytes, now_s: int) -> None:
        """Apply what those have sent who are up to date only now."""
        core = self._core
        core.members.mark_synced(core.members.all)
        core.perform(core.application.on_agreed(now_s), now_s)
        self._deliveries.deliver_held(now_s)

    def _begin_with_others(self, change: ConfigurationChange, now_s: int) -> None:
        core = self._core
        if change.joined:
            self._deliveries.send_own_again()
        core.mode = Mode.START_SYNC
        core.log.info("synchronising", members=sorted(core.members.all))
        if core.is_lowest:
            core.multicast(MessageType.SYNC_START, b"", now_s)

    def _log_verdict(self, comparison: Comparison) -> None:
        behind = sorted(self._core.members.all - comparison.synced)
        self._core.log.debug("all states are in", leader=comparison.leader, behind=behind)

    def _send_updates(self, comparison: Comparison, now_s: int) -> None:
        if comparison.updates is None:
            return
        for update in comparison.updates:
            self._core.multicast(MessageType.UPDATE, update, now_s)
        self._core.multicast(MessageType.UPDATE_COMPLETE, b"", now_s)

    def _draw_conclusion(self, comparison: Comparison, now_s: int) -> None:
        core = self._core
        if core.me in comparison.synced:
            core.history.begin(core.agreement, is_replaced=False)
            core.become_synced(comparison.effects, now_s)
            core.application.drop_sync()
        else:
            core.mode = Mode.UPDATE
            core.perform(comparison.effects, now_s)
        self._deliveries.deliver_held(now_s)


def _name_of_epoch(core: Core) -> bytes:
    assert core.outgoing.epoch is not None, "a configuration change came first"
    return core.outgoing.epoch.encode()


def _digest_of(leader: Member | None, states: Mapping[Member, bytes]) -> bytes:
    """Return what stands for the state that all agreed upon; nothing where there is no leader."""
    return b"" if leader is None else sha256(states[leader]).digest()

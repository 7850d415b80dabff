"""Why a node is read-only, what is not as it should be, and what would mend it.

Takes what the daemon says of itself (docs/OPERATIONS.md, "What pmxcfs-ctl prints for programs") and
what corosync says; each finding is in an operator's words, with the commands to run next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pmxcfs.tools.ctl_asking import Advice, Value
from pmxcfs.tools.ctl_concerns import WAIT_S_NORMAL, concerns, notices
from pmxcfs.tools.ctl_corosync import Corosync
from pmxcfs.tools.ctl_members import (
    DOES_NOT_REACH,
    LOGS,
    called,
    commands_for,
    votes,
    wait_sentence,
)
from pmxcfs.tools.ctl_words import bytes_text, names, plural, since

_COROSYNC_LOGS = "journalctl -u corosync -n 50"


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found.

    Attributes:
        causes: why changes are refused or wait; empty if the node is writable.
        concerns: what needs attention although changes are taken.
        notices: what is worth knowing, and all right.
    """

    causes: tuple[Advice, ...]
    concerns: tuple[Advice, ...]
    notices: tuple[Advice, ...]

    @property
    def is_all_well(self) -> bool:
        """Whether nothing needs attention."""
        return not self.causes and not self.concerns


def findings(status: Value, corosync: Corosync) -> Findings:
    """Return all that is to be said about a node."""
    causes = [*_of_corosync(status, corosync), *_of_quorum(status, corosync)]
    causes += [*_of_sync(status, is_cut_off=bool(causes)), *_of_database(status)]
    causes += _of_callers(status)
    if not causes and not status["writable"]:
        sentence = "changes are refused at this moment, for a reason that is gone by the next look"
        causes.append(Advice("unknown", sentence, (), ("pmxcfs-ctl status", LOGS)))
    return Findings(tuple(causes), tuple(concerns(status, corosync)), tuple(notices(status)))


def _of_corosync(status: Value, corosync: Corosync) -> Iterator[Advice]:
    if status["mode"] != "cluster":
        return
    told = [
        f"{each['service']}: {each['trouble']}, {since(each['since_s'], status)}"
        for each in status["corosync"]
        if each["trouble"] is not None
    ]
    if corosync.state == "dead":
        yield Advice(
            "corosync-dead",
            "corosync does not run on this node, so the node is cut off from its cluster",
            (*told, "pmxcfs joins by itself within seconds once corosync runs"),
            (_COROSYNC_LOGS, "systemctl start corosync"),
        )
    elif corosync.state == "hangs":
        details = ["corosync runs, but does not answer: changes wait, and then fail with EIO"]
        details += ["somebody has stopped its process (SIGSTOP)"] if corosync.is_stopped else []
        commands = [f"kill -CONT {corosync.pid}"] if corosync.is_stopped else []
        yield Advice(
            "corosync-hangs",
            "corosync hangs on this node",
            (*details, *told),
            (*commands, _COROSYNC_LOGS, "systemctl restart corosync"),
        )
    elif told and not status["quorum"]["quorate"]:
        yield Advice(
            "corosync-connection",
            "pmxcfs has no connection to corosync at the moment, and tries again every 6 s",
            tuple(told),
            ("systemctl status corosync", _COROSYNC_LOGS),
        )


def _of_quorum(status: Value, corosync: Corosync) -> Iterator[Advice]:
    if status["quorum"]["quorate"] or corosync.state in ("dead", "hangs"):
        return
    present, needed, total = votes(status, corosync)
    absent = [member for member in status["members"] if not member["in_ring"]]
    details = [f"quorum was lost or missing {since(status['quorum']['since_s'], status)}"]
    details += [f"{called(member)}: {DOES_NOT_REACH}" for member in absent]
    details.append(_what_would_help(present, needed, absent))
    yield Advice(
        "no-quorum",
        f"no quorum: this node sees {present} of {plural(total, 'vote')} and needs {needed}",
        tuple(details),
        (
            "corosync-cfgtool -s",
            *(f"ping -c 3 {member['ip']}" for member in absent if member["ip"]),
            *(f"ssh {member['name']} systemctl status corosync" for member in absent),
            f"corosync-quorumtool -e {max(1, present)}   # only if the others are down for sure: "
            "two halves that both may write lose changes",
        ),
    )


def _what_would_help(present: int, needed: int, absent: list[Value]) -> str:
    lacking = needed - present
    if lacking <= 0:
        return "the votes are there: corosync is about to say so, or waits for all nodes once"
    if not absent:
        return "no configured node is missing: are there expected votes that no node has?"
    which = names([str(member["name"]) for member in absent])
    if sum(member["votes"] for member in absent) == lacking:
        return f"the node becomes writable when {which} can be reached again"
    return f"the node becomes writable when {plural(lacking, 'more vote')} of {which} are back"


def _of_sync(status: Value, *, is_cut_off: bool) -> Iterator[Advice]:
    if status["mode"] != "cluster":
        return
    mode, database = status["sync"]["mode"], status["database"]["state"]
    wait = next((each for each in status["waits"] if each["who"] == "tree"), None)
    waited = () if wait is None else (wait_sentence(wait),)
    if mode == "synced":
        if wait is not None and wait["waited_s"] >= WAIT_S_NORMAL and not is_cut_off:
            yield Advice("slow", "a change of ours has not come back yet", waited, (LOGS,))
    elif mode in ("start-sync", "update"):
        sentence = "the nodes are comparing their trees: changes wait, and get EBUSY after 10 s"
        yield Advice("not-synced", sentence, waited, commands_for(wait, status))
    elif mode == "start" and not is_cut_off:
        sentence = "not a member of the group yet: changes wait for that"
        yield Advice("joining", sentence, waited, ("corosync-cpgtool", LOGS))
    elif mode == "leave" and database == "writable":
        sentence = "leaving the group, to come back by itself with all that it missed"
        yield Advice("leaving", sentence, waited, (LOGS,))
    elif mode == "version-error":
        yield Advice(
            "version",
            "another member speaks a newer protocol: this node stays out until it is upgraded",
            (),
            (LOGS, "apt update && apt full-upgrade", "systemctl restart pve-cluster"),
        )
    elif mode == "error" and database != "failed":
        sentence = "out of the group until a restart: it could not take over the others' tree"
        yield Advice("out", sentence, (), (LOGS, "systemctl restart pve-cluster"))


def _of_database(status: Value) -> Iterator[Advice]:
    database = status["database"]
    if database["state"] == "writable":
        return
    path, reason = database["path"], database["reason"]
    began = since(database["since_s"], status)
    space = (f"df -h {path}", f"fuser -v {path}")
    details = tuple(filter(None, [reason, _free_sentence(database)]))
    least = bytes_text(database["free_bytes_needed"])
    again = f"it is tried every second, after a full disk once {least} are free"
    if database["state"] == "failed":
        yield Advice(
            "database-failed",
            f"the database failed {began}: no changes until a restart of pmxcfs",
            details,
            ("dmesg | tail -n 30", f"pmxcfs-db check {path}", "systemctl restart pve-cluster"),
        )
    elif database["state"] == "waiting":
        yield Advice(
            "database-waits",
            f"changes wait for the disk, {began}; after 10 s they get EIO",
            details,
            space,
        )
    else:
        yield Advice(
            "database-refuses",
            f"the database cannot be written, {began}: changes get EIO until it can",
            (
                *details,
                f"{again}; the node comes back by itself, no restart needed",
            ),
            space,
        )


def _free_sentence(database: Value) -> str:
    free = database["free_bytes"]
    if not database["answers"]:
        return "the disk does not even say how large the database is: it hangs"
    return "" if free is None else f"{bytes_text(free)} are free on that disk"


def _of_callers(status: Value) -> Iterator[Advice]:
    queue = status["queue"]
    if queue["callers"] >= queue["callers_max"]:
        sentence = f"{queue['callers']} changes wait already: more get EBUSY"
        yield Advice("busy", sentence, (), (LOGS,))

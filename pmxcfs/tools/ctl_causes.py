"""Why a node is read-only, what is not as it should be, and what would mend it.

Takes what the daemon says of itself (docs/OPERATIONS.md, "What pmxcfs-ctl prints for programs") and
what corosync says; each finding is in an operator's words, with the commands to run next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pmxcfs.tools.ctl_asking import Advice, Value
from pmxcfs.tools.ctl_corosync import Corosync
from pmxcfs.tools.ctl_words import bytes_text, duration, names, percent, plural, since

NEAR_LIMIT_PERCENT = 80
FREE_BYTES_MIN = 64 * 1024 * 1024
WAIT_S_NORMAL = 2.0
"""A step of a synchronisation, or a change of ours, is under way for less."""

_LOGS = "journalctl -u pve-cluster -n 50"
_COROSYNC_LOGS = "journalctl -u corosync -n 50"
_DOES_NOT_REACH = (
    "corosync does not reach it: the node is down, its corosync does not run, or the network is cut"
)


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
        causes.append(Advice("unknown", sentence, (), ("pmxcfs-ctl status", _LOGS)))
    concerns = [*_of_members(status, corosync), *_of_room(status), *_of_status_group(status)]
    return Findings(tuple(causes), tuple(concerns), tuple(_notices(status)))


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
    details += [f"{_called(member)}: {_DOES_NOT_REACH}" for member in absent]
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


def votes(status: Value, corosync: Corosync) -> tuple[int, int, int]:
    """Return the votes that are present, needed, and expected in all."""
    if corosync.votes is not None:
        told = corosync.votes
        return told["present"], told["needed"], told["expected"]
    cluster = status["cluster"] or {"votes": 0, "votes_needed": 0}
    present = sum(member["votes"] for member in status["members"] if member["in_ring"])
    return present, cluster["votes_needed"], cluster["votes"]


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
    waited = () if wait is None else (_wait_sentence(wait),)
    if mode == "synced":
        if wait is not None and wait["waited_s"] >= WAIT_S_NORMAL and not is_cut_off:
            yield Advice("slow", "a change of ours has not come back yet", waited, (_LOGS,))
    elif mode in ("start-sync", "update"):
        sentence = "the nodes are comparing their trees: changes wait, and get EBUSY after 10 s"
        yield Advice("not-synced", sentence, waited, _commands_for(wait, status))
    elif mode == "start" and not is_cut_off:
        sentence = "not a member of the group yet: changes wait for that"
        yield Advice("joining", sentence, waited, ("corosync-cpgtool", _LOGS))
    elif mode == "leave" and database == "writable":
        sentence = "leaving the group, to come back by itself with all that it missed"
        yield Advice("leaving", sentence, waited, (_LOGS,))
    elif mode == "version-error":
        yield Advice(
            "version",
            "another member speaks a newer protocol: this node stays out until it is upgraded",
            (),
            (_LOGS, "apt update && apt full-upgrade", "systemctl restart pve-cluster"),
        )
    elif mode == "error" and database != "failed":
        sentence = "out of the group until a restart: it could not take over the others' tree"
        yield Advice("out", sentence, (), (_LOGS, "systemctl restart pve-cluster"))


def _wait_sentence(wait: Value) -> str:
    whom = names([str(each) for each in wait["waits_for"]])
    return f"waits for {whom} since {duration(wait['waited_s'])}: {wait['what']}"


def _commands_for(wait: Value | None, status: Value) -> tuple[str, ...]:
    called = [] if wait is None else [str(each) for each in wait["waits_for"]]
    nodes = [str(member["name"]) for member in status["members"]]
    slow = [name for name in nodes if any(each.startswith(f"{name} ") for each in called)]
    restarts = [f"ssh {name} systemctl restart pve-cluster   # if it hangs" for name in slow]
    return (*(f"ssh {name} pmxcfs-ctl status" for name in slow), *restarts, _LOGS)


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
        yield Advice("busy", sentence, (), (_LOGS,))


def _of_members(status: Value, corosync: Corosync) -> Iterator[Advice]:
    if not status["quorum"]["quorate"] or not sees_the_group(status):
        return  # then there is a cause, which says what is missing
    missing = [member for member in status["members"] if what_is_wrong_with(member, status)]
    if missing:
        present, needed, _ = votes(status, corosync)
        is_last = present - 1 < needed
        spare = "one more lost vote, and nothing can be changed any more" if is_last else ""
        yield Advice(
            "members-missing",
            f"not all nodes take part: {names([str(member['name']) for member in missing])}",
            tuple(
                filter(
                    None,
                    [
                        *(
                            f"{_called(each)}: {what_is_wrong_with(each, status)}"
                            for each in missing
                        ),
                        spare,
                    ],
                )
            ),
            tuple(f"ssh {member['name']} pmxcfs-ctl status" for member in missing),
        )


def sees_the_group(status: Value) -> bool:
    """Whether this node is in the group of the tree, and so can say who else is."""
    return any(member["is_this_node"] and member["in_group"] for member in status["members"])


def what_is_wrong_with(member: Value, status: Value) -> str:
    """Return what it means that a configured node does not take part in all; empty if it does."""
    is_blind = not any(other["in_ring"] for other in status["members"])
    if member["is_this_node"]:
        return "" if member["in_group"] else "out of the group: see pmxcfs-ctl explain"
    if is_blind:
        return "not known: this node has no word from its own corosync"
    if member["in_ring"] and not sees_the_group(status):
        return "" if member["in_status_group"] else "not known: this node is not in the group"
    if not member["in_ring"]:
        return _DOES_NOT_REACH
    if not member["in_group"]:
        return "its corosync is there, but its pmxcfs is not: it does not run, or is coming back"
    if member["awaited"]:
        return "its pmxcfs has not told its state: it hangs, or its machine is overloaded"
    if not member["in_status_group"]:
        return "its metrics, addresses and log entries are not seen"
    return ""


def _called(member: Value) -> str:
    return f"{member['name']} (id {member['node_id']}, {plural(member['votes'], 'vote')})"


def _of_room(status: Value) -> Iterator[Advice]:
    tree, database = status["tree"], status["database"]
    for of, used, limit in (
        ("entries", tree["entries"], tree["entries_max"]),
        ("bytes of content", tree["bytes"], tree["bytes_max"]),
    ):
        if percent(used, limit) >= NEAR_LIMIT_PERCENT:
            sentence = f"the tree has {percent(used, limit)} % of the {of} that it may have"
            yield Advice("near-limit", sentence, (), ("du -a /etc/pve | sort -n | tail -n 20",))
    if not database["answers"] and database["state"] == "writable":
        sentence = "the disk does not answer: it did not say within 1 s how large the database is"
        yield Advice("disk-slow", sentence, (), ("dmesg | tail -n 30",))
    elif (
        database["state"] == "writable"
        and database["free_bytes"] is not None
        and database["free_bytes"] < FREE_BYTES_MIN
    ):
        sentence = f"the database's disk is nearly full: {bytes_text(database['free_bytes'])} left"
        yield Advice("disk-nearly-full", sentence, (), (f"df -h {database['path']}",))


def _of_status_group(status: Value) -> Iterator[Advice]:
    waits = [each for each in status["waits"] if each["who"] == "status"]
    if status["sync"]["mode"] == "synced" and waits and waits[0]["waited_s"] >= WAIT_S_NORMAL:
        sentence = "what other nodes publish (metrics, addresses, the log) is not seen"
        yield Advice("status-group", sentence, (_wait_sentence(waits[0]),), (_LOGS,))


def _notices(status: Value) -> Iterator[Advice]:
    kept = [str(path) for path in status["kept_trees"]]
    if kept:
        yield Advice(
            "kept-trees",
            f"{plural(len(kept), 'tree')} of this node lost against another node's and "
            "were kept; remove them when nothing in them is needed",
            tuple(kept),
            (f"pmxcfs-db diff {kept[-1]} {status['database']['path']}", f"rm {kept[-1]}"),
        )
    if status["unshared_since"] is not None:
        sentence = f"changes since version {status['unshared_since']} may be on no other node yet"
        yield Advice("unshared", sentence)
    if status["forced_local"]:
        yield Advice("local", "told to work alone (--local): other nodes see none of the changes")
    if status["restart_flag"]:
        yield Advice(
            "restart-flag", "the restart flag is set: tools wait for this daemon to return"
        )
    if status["debug"]:
        yield Advice("debug", "debug lines are logged", (), ("pmxcfs-ctl debug off",))

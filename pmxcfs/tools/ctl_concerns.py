"""What needs attention although changes are taken, and what is only worth knowing."""

from collections.abc import Iterator

from pmxcfs.tools.ctl_asking import Advice, Value
from pmxcfs.tools.ctl_corosync import Corosync
from pmxcfs.tools.ctl_members import (
    LOGS,
    called,
    commands_for,
    sees_the_group,
    votes,
    wait_sentence,
    what_is_wrong_with,
)
from pmxcfs.tools.ctl_words import bytes_text, duration, names, percent, plural

NEAR_LIMIT_PERCENT = 80
FREE_BYTES_MIN = 64 * 1024 * 1024
WAIT_S_NORMAL = 2.0
"""A step of a synchronisation, or a change of ours, is under way for less."""

METRICS_AGE_S_NORMAL = 45
"""A node tells its metrics every 10 s, once pvestatd runs on it."""


def concerns(status: Value, corosync: Corosync) -> Iterator[Advice]:
    """Yield what needs attention."""
    yield from _of_members(status, corosync)
    yield from _of_room(status)
    yield from _of_status_group(status)
    yield from _of_fsync(status)


def notices(status: Value) -> Iterator[Advice]:
    """Yield what is worth knowing, and all right."""
    yield from _of_silent(status)
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
                            f"{called(each)}: {what_is_wrong_with(each, status)}"
                            for each in missing
                        ),
                        spare,
                    ],
                )
            ),
            tuple(f"ssh {member['name']} pmxcfs-ctl status" for member in missing),
        )


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
        yield Advice("status-group", sentence, (wait_sentence(waits[0]),), (LOGS,))


def _of_fsync(status: Value) -> Iterator[Advice]:
    wait = next((each for each in status["waits"] if each["who"] == "fsync"), None)
    if wait is not None and wait["waited_s"] >= WAIT_S_NORMAL:
        sentence = f"{plural(wait['callers'], 'caller')} of fsync wait: EIO is what follows"
        yield Advice("fsync-waits", sentence, (wait_sentence(wait),), commands_for(wait, status))


def _of_silent(status: Value) -> Iterator[Advice]:
    """Tell of those who cannot be asked, as the C daemon, and were heard regularly before."""
    for member in status["members"]:
        age_s, is_asked = member["metrics_age_s"], member["answers"] is not None
        if not member["in_group"] or is_asked or age_s is None or age_s < METRICS_AGE_S_NORMAL:
            continue
        yield Advice(
            "silent",
            f"{member['name']} has told no metrics for {duration(age_s)}: its pvestatd does not "
            "run, or its pmxcfs hangs",
            ("it runs another daemon or version, so that it cannot be asked",),
            (f"ssh {member['name']} systemctl status pvestatd pve-cluster",),
        )

"""Who takes part, who does not and what that means, and who waits for whom, in words."""

from pmxcfs.tools.ctl_asking import Value
from pmxcfs.tools.ctl_corosync import Corosync
from pmxcfs.tools.ctl_words import duration, names, plural

LOGS = "journalctl -u pve-cluster -n 50"
DOES_NOT_REACH = (
    "corosync does not reach it: the node is down, its corosync does not run, or the network is cut"
)


def votes(status: Value, corosync: Corosync) -> tuple[int, int, int]:
    """Return the votes that are present, needed, and expected in all."""
    if corosync.votes is not None:
        told = corosync.votes
        return told["present"], told["needed"], told["expected"]
    cluster = status["cluster"] or {"votes": 0, "votes_needed": 0}
    present = sum(member["votes"] for member in status["members"] if member["in_ring"])
    return present, cluster["votes_needed"], cluster["votes"]


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
        return DOES_NOT_REACH
    if not member["in_group"]:
        return "its corosync is there, but its pmxcfs is not: it does not run, or is coming back"
    if member["awaited"]:
        return "its pmxcfs has not told its state: it hangs, or its machine is overloaded"
    if member["answers"] is False:
        return "its pmxcfs does not answer: it hangs, or its machine is overloaded"
    if not member["in_status_group"]:
        return "its metrics, addresses and log entries are not seen"
    return ""


def called(member: Value) -> str:
    """Return what people know a node by."""
    return f"{member['name']} (id {member['node_id']}, {plural(member['votes'], 'vote')})"


def wait_sentence(wait: Value) -> str:
    """Return who is waited for, since when, and what for."""
    whom = names([str(each) for each in wait["waits_for"]])
    return f"waits for {whom} since {duration(wait['waited_s'])}: {wait['what']}"


def commands_for(wait: Value | None, status: Value) -> tuple[str, ...]:
    """Return what to run about those who are waited for."""
    called = [] if wait is None else [str(each) for each in wait["waits_for"]]
    nodes = [str(member["name"]) for member in status["members"]]
    slow = [name for name in nodes if any(each.startswith(f"{name} ") for each in called)]
    restarts = [f"ssh {name} systemctl restart pve-cluster   # if it hangs" for name in slow]
    return (*(f"ssh {name} pmxcfs-ctl status" for name in slow), *restarts, LOGS)

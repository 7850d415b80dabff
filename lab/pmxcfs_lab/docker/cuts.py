"""Partitions of containers: each node's packet filter drops what nodes of other sides send.

The rules live in the node's own network namespace, so they end with it, and nothing on this machine
or of another lab's is touched. As both sides drop, no packet passes either way.
"""

import json
from collections.abc import Mapping, Sequence

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Groups

LOOK = ("nft", "-j", "list", "ruleset")

RULES = """\
table inet lab
delete table inet lab
table inet lab {{
  set away {{ type ipv4_addr; {elements} }}
  chain arriving {{ type filter hook input priority -300; ip saddr @away drop; }}
}}
"""


def rules(plan: Plan, groups: Groups, node: str) -> str:
    """Return what `nft -f -` shall read on a node: whose packets it drops."""
    own = next(group for group in groups if node in group)
    others = (name for group in groups if group != own for name in group)
    away = ", ".join(plan.node(name).address for name in others)
    return RULES.format(elements=f"elements = {{ {away} }};" if away else "")


def read_away(answer: bytes) -> frozenset[str]:
    """Return the addresses a node drops, from the output of LOOK.

    Raises:
        LabError: that is no answer of nft's.
    """
    try:
        items = json.loads(answer)["nftables"]
    except (ValueError, KeyError):
        raise LabError("nft gave no answer that can be read.") from None
    sets = [item["set"] for item in items if "set" in item]
    return frozenset(
        address for one in sets if one["table"] == "lab" for address in one.get("elem", ())
    )


def groups_of(plan: Plan, away: Mapping[str, frozenset[str]], names: Sequence[str]) -> Groups:
    """Return who reaches whom: nodes are together if neither drops the other.

    Args:
        plan: has the addresses.
        away: the addresses that each node drops.
        names: the nodes, in order.
    """
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if _reach_each_other(plan, away, name, group[0]):
                group.append(name)
                break
        else:
            groups.append([name])
    return tuple(map(tuple, groups))


def _reach_each_other(plan: Plan, away: Mapping[str, frozenset[str]], one: str, other: str) -> bool:
    return plan.node(one).address not in away[other] and plan.node(other).address not in away[one]

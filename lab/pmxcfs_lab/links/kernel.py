"""Rules kept by the packet filter of every node: loss and cuts, in one direction or both.

The rules live in the node's own network namespace, so they end with it. What is asked for is
written down beside the lab's processes: a rule of one fault must stay when another's goes.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.links.rules import Quality, Rule, Shapes, rules_from_json, rules_to_json, table
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Provider

TABLE = """\
table inet lab-faults
delete table inet lab-faults
table inet lab-faults {{
  chain arriving {{
    type filter hook input priority -300;
{lines}
  }}
}}
"""

PARTS = 10_000
"""The packet filter draws a number below this."""

WITHIN_S = 20.0
NO_NFT = "nft is not there: `apt-get install nftables`, or bring the lab up with `--switch`."


class KernelLinks:
    """The links of a lab without a switch of ours.

    Args:
        provider: runs commands on the nodes.
        plan: of the lab.
        record: the file that keeps what was asked for.
    """

    def __init__(self, provider: Provider, plan: Plan, record: Path) -> None:
        self._provider = provider
        self._plan = plan
        self._record = record

    def lacks(self, quality: Quality) -> str | None:
        """Return why such a quality can't be had, or None."""
        if not quality.is_loss_only:
            return "only loss can be had without the lab's own switch: `up --switch`."
        node = self._plan.names[0]
        found = self._provider.exec(node, ["sh", "-c", "command -v nft"], timeout_s=WITHIN_S)
        return None if found.exit_status == 0 else NO_NFT

    def shapes(self) -> dict[str, tuple[Rule, ...]]:
        """Return all rules by their key."""
        try:
            values = json.loads(self._record.read_text())
        except FileNotFoundError:
            return {}
        return {key: rules_from_json(rules) for key, rules in values.items()}

    def shape(self, key: str, rules: Sequence[Rule]) -> None:
        """Have these rules for the key instead of those it has; none at all removes it."""
        shapes = {**self.shapes(), key: tuple(rules)}
        self._apply({key: rules for key, rules in shapes.items() if rules})

    def clear(self) -> None:
        """Forget all rules."""
        if self.shapes():
            self._apply({})

    def _apply(self, shapes: Shapes) -> None:
        written = {key: rules_to_json(rules) for key, rules in shapes.items()}
        self._record.write_text(json.dumps(written))
        for node in self._provider.running():
            text = filter_rules(self._plan, shapes, node).encode()
            done = self._provider.exec(node, ["nft", "-f", "-"], stdin=text, timeout_s=WITHIN_S)
            if done.exit_status != 0:
                raise LabError(f"{node}: nft refused: {done.stderr.decode().strip()}", NO_NFT)


def filter_rules(plan: Plan, shapes: Shapes, node: str) -> str:
    """Return what `nft -f -` shall read on a node: which share of whose packets it drops."""
    ways = table(shapes, plan.options.links)
    lines = [
        f"    ip saddr {plan.node(from_).address_on(link)} {_share(quality.loss)}drop;"
        for (from_, to, link), quality in sorted(ways.items(), key=_by_way)
        if to == node
    ]
    return TABLE.format(lines="\n".join(lines))


def _by_way(item: tuple[tuple[str, str, int], Quality]) -> tuple[str, str, int]:
    return item[0]


def _share(loss: float) -> str:
    return "" if loss >= 1 else f"numgen random mod {PARTS} < {round(loss * PARTS)} "

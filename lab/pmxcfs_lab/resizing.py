"""Labs that get or lose a node while they run: the plans, and what the others must be told."""

from dataclasses import replace

from pmxcfs_lab import membership, settings
from pmxcfs_lab.corosync_conf import hosts
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import NODES_MAX, NodePlan, Plan
from pmxcfs_lab.provider import Provider

HOSTS = "/etc/hosts"


def with_node(plan: Plan, name: str) -> Plan:
    """Return the plan with one node more, which runs our daemon.

    Raises:
        LabError: there is one of that name.
    """
    if name in plan.names:
        raise LabError(f"{name} is in this lab already.", f"Free: {', '.join(_free(plan))}.")
    node = NodePlan(int(name.removeprefix("node")), network=plan.nodes[0].network)
    nodes = sorted((*plan.nodes, node), key=lambda node: node.node_id)
    return replace(plan, nodes=tuple(nodes))


def without_node(plan: Plan, name: str) -> Plan:
    """Return the plan without the node.

    Raises:
        LabError: there is no such node, or no other.
    """
    plan.node(name)
    nodes = tuple(node for node in plan.nodes if node.name != name)
    if not nodes:
        raise LabError(f"{name} is the last node.", "`down` removes the lab.")
    return replace(plan, nodes=nodes)


def introduce(provider: Provider, before: Plan, after: Plan, node: str) -> None:
    """Tell a running cluster of a node that has been made, and the node of the cluster."""
    for name in after.names:
        done = provider.exec(name, ["sh", "-c", f"cat > {HOSTS}"], stdin=hosts(after).encode())
        if done.exit_status != 0:
            raise LabError(f"{name}: {HOSTS} was not written.")
    text = membership.publish(provider, after, before.names)
    membership.copy(provider, before.names[0], node)
    settings.write(provider, node, settings.CONF, text.encode())


def _free(plan: Plan) -> list[str]:
    names = (f"node{number}" for number in range(1, NODES_MAX + 1))
    return [name for name in names if name not in plan.names]

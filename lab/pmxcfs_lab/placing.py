"""Whether a plan can be had from a provider on this machine, before anything is built."""

from dataclasses import replace

from pmxcfs_lab import qdevice
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import Plan
from pmxcfs_lab.provider import Capability, Provider


def place(plan: Plan, provider: Provider, provider_name: str) -> Plan:
    """Return the plan with addresses of the provider's.

    Raises:
        LabError: it has more nodes than the provider, or options that the provider does not have.
    """
    most = provider.nodes_max
    if len(plan.nodes) > most:
        raise LabError(f"The provider {provider_name} has at most {most} nodes.")
    for capability, is_wanted in (
        (Capability.TWO_LINKS, plan.options.links > 1),
        (Capability.SWITCH, plan.options.switch),
        (Capability.WITNESS, plan.options.qdevice),
    ):
        if is_wanted and capability not in provider.capabilities:
            raise LabError(f"The provider {provider_name} does not have {capability}.")
    network, offset = provider.network, provider.offset
    nodes = tuple(replace(node, network=network, offset=offset) for node in plan.nodes)
    return replace(plan, nodes=nodes)


def require_everything(plan: Plan, provider: Provider) -> None:
    """Refuse a machine that lacks what the provider, or an option of the plan, needs.

    Raises:
        LabError: it names all that is lacking, and what to do about it.
    """
    lacking = [*provider.missing(), *(qdevice.missing() if plan.options.qdevice else ())]
    if lacking:
        lines = [f"{what}: {advice}" for what, advice in lacking]
        raise LabError("This machine lacks what a lab needs.", "\n".join(lines))


def require_resizable(plan: Plan, provider: Provider) -> None:
    """Refuse a lab that cannot get or lose nodes while it runs.

    Raises:
        LabError: the provider can't, or the nodes stand alone.
    """
    if Capability.RESIZING not in provider.capabilities or plan.local:
        raise LabError("This lab cannot grow or shrink.", "`down`, and `up` with other nodes.")

"""Which providers there are, by name."""

from collections.abc import Callable, Mapping

from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces.provider import NamespacesProvider
from pmxcfs_lab.provider import Provider, Say

PROVIDERS: Mapping[str, Callable[[Layout], Provider]] = {"namespaces": NamespacesProvider}


def open_lab(name: str, say: Say, provider: str = "namespaces") -> Lab:
    """Return the lab of that name, whether it exists or not.

    Args:
        name: see `layout.LAB_NAME`.
        say: takes progress.
        provider: a key of PROVIDERS.

    Raises:
        LabError: no such provider, or the name cannot be a lab's.
    """
    make = PROVIDERS.get(provider)
    if make is None:
        raise LabError(f'There is no provider "{provider}".', f"Known: {', '.join(PROVIDERS)}.")
    layout = Layout(name)
    return Lab(layout, make(layout), provider, say)

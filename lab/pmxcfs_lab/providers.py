"""Which providers there are, by name."""

from collections.abc import Mapping

from pmxcfs_lab.docker.provider import DockerProvider
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.namespaces.provider import NamespacesProvider
from pmxcfs_lab.provider import Say
from pmxcfs_lab.record import read_record
from pmxcfs_lab.vagrant.provider import VagrantProvider

PROVIDERS: Mapping[str, type[NamespacesProvider | DockerProvider | VagrantProvider]] = {
    "namespaces": NamespacesProvider,
    "docker": DockerProvider,
    "vagrant": VagrantProvider,
}
DEFAULT = "namespaces"


def open_lab(name: str, say: Say, provider: str | None = None) -> Lab:
    """Return the lab of that name, whether it exists or not.

    Args:
        name: see `layout.LAB_NAME`.
        say: takes progress.
        provider: a key of PROVIDERS; None means the one that made the lab, else DEFAULT.

    Raises:
        LabError: no such provider, another one made the lab, or the name cannot be a lab's.
    """
    layout = Layout(name)
    record = read_record(layout.record)
    if record is not None and provider not in (None, record.provider):
        raise LabError(
            f'Lab "{name}" was made by the provider {record.provider}, not by {provider}.',
            f"Choose another with LAB=name, or call this with PROVIDER={record.provider}.",
        )
    provider = provider or (record.provider if record is not None else DEFAULT)
    make = PROVIDERS.get(provider)
    if make is None:
        raise LabError(f'There is no provider "{provider}".', f"Known: {', '.join(PROVIDERS)}.")
    return Lab(layout, make(layout), provider, say)

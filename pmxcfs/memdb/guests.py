"""Which guest (virtual machine or container) is configured on which node."""

import re
from collections.abc import Iterable, Iterator

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE
from pmxcfs.memdb.tree import Tree
from pmxcfs.values import value

NODES_DIRECTORY = b"nodes"

KIND_OF_DIRECTORY = {b"qemu-server": "qemu", b"lxc": "lxc", b"openvz": "openvz"}
"""What the guests are whose configurations are in a node's directory of this name."""

DIRECTORY_OF_KIND = {kind: directory for directory, kind in KIND_OF_DIRECTORY.items()}

_VMID_MAX = 2**32 - 1
_NODE_NAME = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_CONFIG_NAME = re.compile(rb"([1-9][0-9]*)\.conf")


@value(frozen=True, slots=True)
class GuestPath:
    """What the path of a guest's configuration says: VM id, node and kind of guest."""

    vmid: int
    node: str
    kind: str


@value(frozen=True, slots=True)
class Guest:
    """A registered guest; ``version`` grows with every registration in this process."""

    vmid: int
    node: str
    kind: str
    version: int


def parse_guest_path(path: bytes) -> GuestPath | None:
    """Return what a guest configuration's path says, None for any other path.

    The form is exactly ``nodes/NODE/qemu-server|lxc|openvz/VMID.conf``.

    Source: docs/PROTOCOL.md, "Guest list".
    """
    parts = path.split(b"/")
    if len(parts) != 4 or parts[0] != NODES_DIRECTORY:
        return None
    _, node, directory, name = parts
    kind = KIND_OF_DIRECTORY.get(directory)
    vmid = _parse_vmid(name)
    if kind is None or vmid is None or not _NODE_NAME.fullmatch(node):
        return None
    return GuestPath(vmid, node.decode(), kind)


class GuestList:
    """The registered guests by VM id, and a version that moves with every change of the list.

    Attributes:
        version: counts registrations, removals and rebuilds in this process.
        text: the list as clients read it if it was made since the last change, kept here by
            ``views``.

    Source: docs/PROTOCOL.md, "Guest list".
    """

    def __init__(self) -> None:
        self.version = 0
        self.text: bytes | None = None
        self._guests: dict[int, Guest] = {}
        self._registrations = 0

    def __len__(self) -> int:
        """Return the number of guests."""
        return len(self._guests)

    def __iter__(self) -> Iterator[Guest]:
        """Yield every guest, in no particular order."""
        return iter(self._guests.values())

    def get(self, vmid: int) -> Guest | None:
        """Return the guest with this id."""
        return self._guests.get(vmid)

    def conflicts_with(self, path: GuestPath) -> bool:
        """Whether the id is taken by a guest on another node or of another kind."""
        guest = self._guests.get(path.vmid)
        return guest is not None and (guest.node, guest.kind) != (path.node, path.kind)

    def register(self, path: GuestPath) -> None:
        """Enter a guest, or enter it anew."""
        self.version += 1
        self._enter(path)

    def unregister(self, vmid: int) -> None:
        """Remove a guest by its id alone; it may be unknown."""
        self.version += 1
        self.text = None
        self._guests.pop(vmid, None)

    def rebuild(self, tree: Tree) -> None:
        """Enter all guests that the tree has configurations of.

        Without a directory ``nodes`` there are none, and the version stays. If an id is there
        twice, the list is complete but for that.

        Raises:
            StorageError: two configurations have one VM id, or what should be a directory of
                configurations is a file.
        """
        self._guests = {}
        self.text = None
        nodes = tree.child(ROOT_INODE, NODES_DIRECTORY)
        if nodes is None or not nodes.is_directory:
            return
        self.version += 1
        twice = []
        for path in _guest_paths(tree):
            if path.vmid in self._guests:
                twice.append(path.vmid)
            else:
                self._enter(path)
        if twice:
            raise StorageError(f"VM ids with more than one configuration: {sorted(set(twice))}")

    def _enter(self, path: GuestPath) -> None:
        self._registrations += 1
        self.text = None
        self._guests[path.vmid] = Guest(path.vmid, path.node, path.kind, self._registrations)


def _guest_paths(tree: Tree) -> Iterable[GuestPath]:
    nodes = tree.child(ROOT_INODE, NODES_DIRECTORY)
    assert nodes is not None
    for node in tree.children(nodes.inode):
        if not node.is_directory or not _NODE_NAME.fullmatch(node.name):
            continue
        for directory, kind in KIND_OF_DIRECTORY.items():
            configs = tree.child(node.inode, directory)
            if configs is None:
                continue
            if not configs.is_directory:
                raise StorageError(f"{tree.path_of(configs.inode)!r} is not a directory")
            for config in tree.children(configs.inode):
                vmid = _parse_vmid(config.name)
                if vmid is not None and not config.is_directory:
                    yield GuestPath(vmid, node.name.decode(), kind)


def _parse_vmid(name: bytes) -> int | None:
    match = _CONFIG_NAME.fullmatch(name)
    if match is None or len(match[1]) > len(str(_VMID_MAX)):
        return None
    vmid = int(match[1])
    return vmid if vmid <= _VMID_MAX else None

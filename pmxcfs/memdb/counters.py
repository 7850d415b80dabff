"""How often each of the files that management tools watch has changed."""

from collections.abc import Iterable

OBSERVED_PATHS = (
    b"corosync.conf",
    b"corosync.conf.new",
    b"storage.cfg",
    b"user.cfg",
    b"domains.cfg",
    b"notifications.cfg",
    b"priv/notifications.cfg",
    b"priv/shadow.cfg",
    b"priv/acme/plugins.cfg",
    b"priv/tfa.cfg",
    b"priv/token.cfg",
    b"priv/wg-keys.cfg",
    b"datacenter.cfg",
    b"vzdump.cron",
    b"vzdump.conf",
    b"jobs.cfg",
    b"ha/crm_commands",
    b"ha/manager_status",
    b"ha/resources.cfg",
    b"ha/rules.cfg",
    b"ha/groups.cfg",
    b"ha/fence.cfg",
    b"status.cfg",
    b"replication.cfg",
    b"ceph.conf",
    b"sdn/vnets.cfg",
    b"sdn/zones.cfg",
    b"sdn/controllers.cfg",
    b"sdn/subnets.cfg",
    b"sdn/ipams.cfg",
    b"sdn/mac-cache.json",
    b"sdn/pve-ipam-state.json",
    b"sdn/dns.cfg",
    b"sdn/fabrics.cfg",
    b"sdn/route-maps.cfg",
    b"sdn/prefix-lists.cfg",
    b"sdn/.running-config",
    b"virtual-guest/cpu-models.conf",
    b"virtual-guest/profiles.cfg",
    b"firewall/cluster.fw",
    b"mapping/directory.cfg",
    b"mapping/pci.cfg",
    b"mapping/usb.cfg",
)
"""The observed files, in the order in which ``.version`` lists them."""

_WRAP = 2**32


class ChangeCounters:
    """One unsigned 32-bit counter for each observed file; local to the process.

    Source: docs/PROTOCOL.md, "Change counters".
    """

    def __init__(self) -> None:
        self._count_of = dict.fromkeys(OBSERVED_PATHS, 0)

    def __getitem__(self, path: bytes) -> int:
        """Return the count of an observed file; KeyError for any other."""
        return self._count_of[path]

    def items(self) -> Iterable[tuple[bytes, int]]:
        """Return (path, count) of every observed file, in the order of ``OBSERVED_PATHS``."""
        return self._count_of.items()

    def bump(self, path: bytes) -> None:
        """Count a change of the file with exactly this path, if it is observed."""
        if path in self._count_of:
            self._count_of[path] = (self._count_of[path] + 1) % _WRAP

    def bump_all(self) -> None:
        """Count a change of every file, because the tree was loaded or replaced."""
        for path in OBSERVED_PATHS:
            self.bump(path)

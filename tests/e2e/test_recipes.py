"""What docs/OPERATIONS.md tells operators to do does what it says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.options import Options
from pmxcfs_lab.provider import Service

from .conftest import MakeLab, mend
from .recipes import Cook, Recipe, recipes_in
from .where import PYTHON

LIFE = recipes_in("OPERATIONS.md")
IN_A_CLUSTER = {recipe.title: recipe for recipe in recipes_in("OPERATIONS.md", "in a cluster")}
ALONE = {recipe.title: recipe for recipe in recipes_in("OPERATIONS.md", "on a host alone")}

DATABASE = "/var/lib/pve-cluster/config.db"
OURS = Path(PYTHON).with_name("pmxcfs")
WITH_HISTORY = """\
#!/bin/sh
exec {ours} --history 16 "$@"
"""

FURNISH = f"""\
mkdir -p /etc/pve/nodes/node1/qemu-server /etc/pve/nodes/node3/qemu-server
echo 'dir: local' >/etc/pve/storage.cfg
echo 'name: on the dead host' >/etc/pve/nodes/node3/qemu-server/103.conf
for id in $(seq 200 240); do
    head -c 600 /dev/zero | tr '\\0' x >/etc/pve/nodes/node1/qemu-server/$id.conf
done
pmxcfs-db snapshot {DATABASE} /root/before.db
"""
SPOIL_A_PAGE = f"head -c 1024 /dev/zero | tr '\\0' x | dd of={DATABASE} bs=1024 seek=9 conv=notrunc"
"""Of the middle of a database: its pages have 1024 bytes."""


@pytest.fixture(scope="module")
def bare_hosts(make_lab: MakeLab) -> Iterator[Lab]:
    """Three hosts on which nothing was ever started."""
    lab = make_lab(3, local=True)
    for name in lab.plan.names:
        lab.stop(name, [Service.PMXCFS])
        lab.exec(name, "sh", "-c", "rm -rf /var/lib/pve-cluster/config.db*")
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def cluster(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Three nodes with a key of the cluster, that keep a history."""
    program = tmp_path_factory.mktemp("program") / "pmxcfs"
    program.write_text(WITH_HISTORY.format(ours=OURS))
    program.chmod(0o755)
    names = ("node1", "node2", "node3")
    return make_lab(3, binaries=dict.fromkeys(names, str(program)), options=Options(crypto=True))


def spoil(cook: Cook, lab: Lab, node: str) -> None:
    """Have a page of a node's database damaged."""
    lab.stop(node, [Service.PMXCFS])
    cook.run(node, SPOIL_A_PAGE)


def lose(cook: Cook, lab: Lab) -> None:
    """Have a node lose its database and corosync's configuration."""
    lab.stop("node2", [Service.PMXCFS])
    cook.run("node2", f"rm {DATABASE}* /etc/corosync/corosync.conf")


def die(cook: Cook, lab: Lab) -> None:
    """Have a node die, and give its disk to another."""
    lab.kill("node3", [Service.PMXCFS, Service.COROSYNC])
    disk = "/mnt/var/lib/pve-cluster"
    for name in ("config.db", "config.db-wal"):
        content = cook.run("node3", f"base64 /var/lib/pve-cluster/{name}")
        write = f"mkdir -p {disk} && base64 -d <<EOF >{disk}/{name}\n{content.decode()}EOF"
        cook.run("node1", write)


def overwrite(cook: Cook, lab: Lab) -> None:
    """Have a node replace a file that another one wrote."""
    draft = "/etc/pve/storage.cfg.new"
    cook.run("node2", f"echo changed >{draft} && mv {draft} /etc/pve/storage.cfg")


def nothing(cook: Cook, lab: Lab) -> None:
    """Nothing has to happen before this recipe."""


ACCIDENTS: dict[str, Callable[[Cook, Lab], None]] = {
    "Another node has a sound one": lambda cook, lab: spoil(cook, lab, "node3"),
    "Lost in a cluster": lose,
    "Who changed this, and how do I get it back?": overwrite,
    "One file from an older state": overwrite,
    "The whole cluster back to a snapshot": overwrite,
    "Its guests are needed": die,
    "Only its disk is left": nothing,
}
"""What happens before each recipe for a cluster, in the order in which they are carried out."""


def test_the_document_has_all_recipes() -> None:
    assert len(LIFE) == 9
    assert set(IN_A_CLUSTER) == set(ACCIDENTS)
    assert set(ALONE) == {"It is the only one", "Lost on a host alone"}
    assert all(recipe.steps for recipe in (*LIFE, *IN_A_CLUSTER.values(), *ALONE.values()))


@pytest.mark.thorough
def test_a_cluster_gets_over_its_accidents_as_it_is_written(cluster: Lab) -> None:
    cook = Cook(cluster)
    cook.run("node1", FURNISH)
    for title, happen in ACCIDENTS.items():
        happen(cook, cluster)
        carry_out(cook, IN_A_CLUSTER[title])
    mend(cluster)
    cluster.trees_are_equal()


@pytest.mark.thorough
def test_a_host_alone_gets_over_its_accidents_as_it_is_written(make_lab: MakeLab) -> None:
    lab = make_lab(1, local=True)
    cook = Cook(lab)
    cook.run("node1", FURNISH)
    cook.run("node1", "cp -a /etc/pve /root/pve-backup")
    cook.run("node1", "mkdir -p /var/lib/pve-cluster/backup")
    dump = "/var/lib/pve-cluster/backup/config-1795380122.sql.gz"
    cook.run("node1", f"sqlite3 /root/before.db .dump | gzip >{dump}")
    spoil(cook, lab, "node1")
    for recipe in ALONE.values():
        carry_out(cook, recipe)


@pytest.mark.thorough
def test_a_clusters_life_goes_as_it_is_written(bare_hosts: Lab) -> None:
    cook = Cook(bare_hosts)
    for recipe in LIFE:
        carry_out(cook, recipe)


def carry_out(cook: Cook, recipe: Recipe) -> None:
    try:
        cook.carry_out(recipe)
    except AssertionError as error:
        error.add_note(f"in the recipe: {recipe.title}")
        raise

"""The lab's composition, on a provider that only writes down what it is asked."""

import json
from pathlib import Path

import pytest
from pmxcfs_lab import resizing
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import Plan, make_plan
from pmxcfs_lab.provider import Provider
from pmxcfs_lab.record import LabRecord, Owner

from tests.unit.lab.paper import PLAN, PaperNodes


@pytest.fixture
def paper() -> PaperNodes:
    return PaperNodes()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout("lab", run_root=tmp_path / "run", state_root=tmp_path / "state")


@pytest.fixture
def lab(paper: PaperNodes, layout: Layout) -> Lab:
    provider: Provider = paper
    return Lab(layout, provider, "paper")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "config.db"
    path.write_bytes(b"SQLite format 3\0 and so on")
    return path


def test_corosync_is_started_everywhere_before_any_pmxcfs(lab: Lab, paper: PaperNodes) -> None:
    lab.up(PLAN)
    assert paper.asked == [
        "up node1 node2",
        "start node1 corosync",
        "start node2 corosync",
        "start node1 pmxcfs",
        "start node2 pmxcfs",
    ]


def test_a_seeded_node_first_serves_alone_to_take_the_clusters_configuration(
    lab: Lab, paper: PaperNodes, database: Path
) -> None:
    lab.up(PLAN, {"node1": database})
    assert paper.asked[1:5] == [
        "exec node1 /var/lib/pve-cluster/config.db",
        "start node1 pmxcfs -l",
        "exec node1 cat > /etc/pve/corosync.conf.n",
        "stop node1 pmxcfs",
    ]


def test_nodes_that_stand_alone_get_no_corosync_and_keep_their_tree(
    lab: Lab, paper: PaperNodes, database: Path
) -> None:
    lab.up(make_plan("lab", 2, local=True), {"node1": database})
    assert paper.asked[1:] == [
        "exec node1 /var/lib/pve-cluster/config.db",
        "start node1 pmxcfs -l",
        "start node2 pmxcfs -l",
    ]


def test_a_second_up_heals_and_completes_what_is_there(lab: Lab, paper: PaperNodes) -> None:
    lab.up(PLAN)
    paper.asked.clear()
    lab.up(PLAN)
    assert paper.asked[:2] == ["up node1 node2", "partition (('node1', 'node2'),)"]
    assert "down" not in paper.asked


def test_a_second_up_with_another_plan_is_refused_and_changes_nothing(
    lab: Lab, paper: PaperNodes
) -> None:
    lab.up(PLAN)
    paper.asked.clear()
    with pytest.raises(LabError, match="is there already"):
        lab.up(make_plan("lab", 3))
    assert paper.asked == []


def test_a_database_for_a_lab_that_exists_is_refused(lab: Lab, database: Path) -> None:
    lab.up(PLAN)
    with pytest.raises(LabError, match="only start a new one"):
        lab.up(PLAN, {"node1": database})


def test_an_up_that_was_killed_half_way_is_cleared_away_first(
    lab: Lab, paper: PaperNodes, layout: Layout
) -> None:
    LabRecord(make_plan("lab", 5), "paper", is_complete=False).write(layout.record)
    lab.up(PLAN)
    assert paper.asked[:2] == ["down", "up node1 node2"]
    assert lab.plan == PLAN


def test_what_the_machine_lacks_is_named_before_anything_is_built(
    lab: Lab, paper: PaperNodes, layout: Layout
) -> None:
    paper.lacking = [("corosync", "`apt-get install corosync`")]
    with pytest.raises(LabError) as caught:
        lab.up(PLAN)
    assert "corosync: `apt-get install corosync`" in caught.value.hint
    assert not layout.state.exists()


def test_a_daemon_that_ends_is_reported_at_once(lab: Lab, paper: PaperNodes) -> None:
    paper.exits.add("node2")
    with pytest.raises(LabError, match="node2: corosync exited 255"):
        lab.up(PLAN)


@pytest.mark.parametrize("content", [None, b"", b"-- a dump\n"])
def test_what_is_no_database_is_refused_before_anything_is_built(
    lab: Lab, paper: PaperNodes, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabError):
        lab.up(PLAN, {"node1": path})
    assert paper.asked == []


def test_down_leaves_nothing_behind(lab: Lab, layout: Layout) -> None:
    lab.up(PLAN)
    assert lab.down()
    assert not layout.state_root.exists()
    assert not layout.run_root.exists()
    assert not lab.down()


def test_only_an_orphan_is_removed_when_told_so(lab: Lab, layout: Layout) -> None:
    lab.up(PLAN, owner=Owner.ourselves())
    assert not lab.down(only_if_orphaned=True)
    assert layout.record.exists()


def test_services_are_stopped_in_reverse(lab: Lab, paper: PaperNodes) -> None:
    lab.up(PLAN)
    paper.asked.clear()
    lab.stop("node2")
    assert paper.asked == ["stop node2 pmxcfs", "stop node2 corosync"]


def test_a_node_is_killed_as_a_whole(lab: Lab, paper: PaperNodes) -> None:
    lab.up(PLAN)
    lab.kill("node1")
    assert paper.asked[-1] == "kill node1 corosync pmxcfs"


def test_a_verb_for_a_node_that_is_not_there_is_refused(lab: Lab) -> None:
    lab.up(PLAN)
    with pytest.raises(LabError, match="no node7"):
        lab.kill("node7")


def test_more_nodes_than_the_provider_has_are_refused(tmp_path: Path) -> None:
    lab = Lab(Layout("lab", tmp_path / "run", tmp_path / "state"), PaperNodes(), "paper")
    with pytest.raises(LabError, match="paper has at most 5 nodes"):
        lab.up(make_plan("lab", 6))


def test_nodes_get_addresses_of_the_providers_network(tmp_path: Path) -> None:
    nodes = PaperNodes()
    nodes.network = "10.97.7"
    lab = Lab(Layout("lab", tmp_path / "run", tmp_path / "state"), nodes, "paper")
    lab.up(make_plan("lab", 2))
    assert [node.address for node in lab.plan.nodes] == ["10.97.7.1", "10.97.7.2"]


def test_settings_that_a_node_does_not_make_itself_are_written_before_corosync_starts(
    lab: Lab, paper: PaperNodes
) -> None:
    lab.up(make_plan("lab", 2, options=Options(crypto=True, token_ms=500)))
    written = [line for line in paper.asked if line.startswith("exec")]
    assert [line.split("/")[-1] for line in written] == ["corosync.conf", "authkey"] * 2
    assert paper.asked.index(written[-1]) < paper.asked.index("start node1 corosync")


@pytest.mark.parametrize("options", [Options(links=2), Options(switch=True)])
def test_what_a_provider_does_not_have_is_refused(
    lab: Lab, paper: PaperNodes, options: Options
) -> None:
    with pytest.raises(LabError, match="paper does not have"):
        lab.up(make_plan("lab", 2, options=options))
    assert paper.asked == []


def test_a_plan_with_options_outlives_its_json() -> None:
    plan = make_plan("lab", 2, options=Options(crypto=True, token_ms=500, links=2, switch=True))
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(("token_ms", "links"), [(1, 1), (1000, 0), (1000, 3)])
def test_options_that_cannot_be_are_refused(token_ms: int, links: int) -> None:
    with pytest.raises(LabError):
        Options(token_ms=token_ms, links=links)


def test_a_plan_gets_and_loses_nodes_and_keeps_their_order() -> None:
    five = resizing.with_node(make_plan("lab", 4, network="10.97.7"), "node7")
    assert five.names == ("node1", "node2", "node3", "node4", "node7")
    assert five.node("node7").address == "10.97.7.7"
    assert resizing.without_node(five, "node2").names == ("node1", "node3", "node4", "node7")
    with pytest.raises(LabError, match="already"):
        resizing.with_node(five, "node7")
    with pytest.raises(LabError, match="last node"):
        resizing.without_node(make_plan("lab", 1), "node1")


def test_a_lab_that_cannot_be_resized_says_so_and_stays(lab: Lab, paper: PaperNodes) -> None:
    lab.up(PLAN)
    paper.asked.clear()
    with pytest.raises(LabError, match="cannot grow or shrink"):
        lab.join("node3")
    with pytest.raises(LabError, match="cannot grow or shrink"):
        lab.remove("node2")
    assert paper.asked == []

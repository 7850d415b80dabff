"""What the provider `docker` reckons by itself: addresses, packet filters, files, words."""

import json
import subprocess
from pathlib import Path

import pytest
from pmxcfs_lab.docker import compose_files, cuts, engine, node
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout
from pmxcfs_lab.plan import make_plan

PLAN = make_plan("lab", 3, network="10.97.9")
ALL = PLAN.names


def nft_answer(*addresses: str) -> bytes:
    """Return what `nft -j list ruleset` says on a node that drops these."""
    away = {"family": "inet", "name": "away", "table": "lab", "type": "ipv4_addr"}
    one = {"set": {**away, "elem": list(addresses)} if addresses else away}
    return json.dumps({"nftables": [{"metainfo": {}}, {"table": {"name": "lab"}}, one]}).encode()


def test_a_node_drops_what_nodes_of_other_sides_send() -> None:
    text = cuts.rules(PLAN, (("node3",), ("node1", "node2")), "node1")
    assert "elements = { 10.97.9.3 };" in text
    assert "10.97.9.2" not in text


def test_a_whole_network_has_nothing_to_drop() -> None:
    assert "elements" not in cuts.rules(PLAN, (ALL,), "node1")


def test_groups_are_read_from_what_the_nodes_drop() -> None:
    away = {
        "node1": cuts.read_away(nft_answer("10.97.9.3")),
        "node2": cuts.read_away(nft_answer("10.97.9.3")),
        "node3": cuts.read_away(nft_answer("10.97.9.1", "10.97.9.2")),
    }
    assert cuts.groups_of(PLAN, away, ALL) == (("node1", "node2"), ("node3",))


def test_a_node_made_again_has_no_rules_and_is_still_cut_off_by_the_others() -> None:
    away = {
        "node1": frozenset({"10.97.9.3"}),
        "node2": frozenset({"10.97.9.3"}),
        "node3": cuts.read_away(b'{"nftables": []}'),
    }
    assert cuts.groups_of(PLAN, away, ALL) == (("node1", "node2"), ("node3",))


def test_an_answer_of_nft_that_is_none_is_an_error() -> None:
    with pytest.raises(LabError, match="nft gave no answer"):
        cuts.read_away(b"Operation not permitted")


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, 3),
        ({"COMPOSE_PROFILES": "n4"}, 4),
        ({"COMPOSE_PROFILES": "n4,n5"}, 5),
        ({"COMPOSE_PROFILES": "n5", "NODES": "2"}, 2),
    ],
)
def test_a_containers_environment_tells_how_many_nodes_there_are(
    environment: dict[str, str], names: int
) -> None:
    plan = node.plan_from({**environment, "SUBNET": "10.97.9", "CLUSTER": "seven"})
    assert (len(plan.nodes), plan.nodes[0].address, plan.lab) == (names, "10.97.9.1", "seven")


def test_a_number_of_nodes_that_is_none_is_refused() -> None:
    with pytest.raises(LabError, match="NODES=three is no number"):
        node.plan_from({"NODES": "three"})


def test_labs_have_networks_of_their_own_that_do_not_change() -> None:
    assert compose_files.network("one") == compose_files.network("one")
    assert compose_files.network("one") != compose_files.network("two")


def test_a_labs_own_file_puts_folders_and_another_binary_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compose_files.MOUNTS, "/srv/shared")
    layout = Layout("lab", tmp_path / "run", tmp_path / "state")
    layout.run.mkdir(parents=True)
    compose_files.write_override(layout, make_plan("lab", 2, {"node2": "/opt/other/pmxcfs"}))
    services = json.loads(compose_files.override_path(layout).read_text())["services"]
    assert services["node1"]["environment"]["BINARY"] == ""
    assert services["node2"]["environment"]["BINARY"] == "/opt/other/pmxcfs"
    assert "/opt/other:/opt/other" in services["node2"]["volumes"]
    for service in services.values():
        assert "/srv/shared:/srv/shared" in service["volumes"]
        assert [bind.rpartition(":")[2] for bind in service["volumes"]][:2] == [
            "/var/lib/pve-cluster",
            "/var/lib/corosync",
        ]
    assert (layout.node_state("node1") / "pve-cluster").stat().st_mode & 0o777 == 0o750


def test_without_docker_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match="no docker here") as caught:
        engine.docker("info")
    assert "make engine" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Pool overlaps with other one on this address space", "Another network"),
        ('The container name "/x" is already in use by container "y"', "Another lab"),
        ("no space left on device", ""),
    ],
)
def test_what_is_taken_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", said)

    monkeypatch.setattr(engine, "compose_command", lambda: ("compose",))
    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(LabError) as caught:
        engine.compose(["up"], {})
    assert said in str(caught.value)
    assert caught.value.hint.startswith(advice)
    assert bool(caught.value.hint) == bool(advice)

"""The lab's switch: the fate of frames, virtual time, and carrying frames between ports."""

import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.links.rules import CUT, Quality, Rule, combine, rules_to_json, table
from pmxcfs_lab.namespaces.switched import sides
from pmxcfs_lab.switch.capture import Capture
from pmxcfs_lab.switch.fates import WayState, fate, flip, way_seed
from pmxcfs_lab.switch.forwarding import Port, Switch, ethernet_address
from pmxcfs_lab.switch.timing import Entry, Moment, Timetable

WAY = ("node1", "node2", 0)
SIZE = 1000
MANY = 4000


def fates(quality: Quality, seed: int = 7, count: int = MANY, gap_s: float = 1.0) -> list[Any]:
    state = WayState(way_seed(seed, WAY))
    return [fate(state, quality, SIZE, number * gap_s) for number in range(count)]


def share(found: Sequence[object]) -> float:
    return sum(map(bool, found)) / len(found)


def test_the_same_seed_gives_every_frame_the_same_fate() -> None:
    bad = Quality(0.1, 5.0, 5.0, 0.1, 0.1, 0.1, 0.0)
    assert fates(bad) == fates(bad)
    assert fates(bad) != fates(bad, seed=8)


def test_another_way_has_other_chances() -> None:
    assert way_seed(7, WAY) != way_seed(7, ("node2", "node1", 0))
    assert way_seed(7, WAY) != way_seed(7, ("node1", "node2", 1))


def test_a_frames_fate_does_not_depend_on_when_it_comes() -> None:
    quality = Quality(loss=0.5)
    soon, late = fates(quality, gap_s=0.001), fates(quality, gap_s=10.0)
    assert [bool(one) for one in soon] == [bool(one) for one in late]


@pytest.mark.parametrize("wanted", [0.0, 0.05, 0.5, 1.0])
def test_as_many_frames_meet_a_mishap_as_the_share_says(wanted: float) -> None:
    lost = [not one for one in fates(Quality(loss=wanted))]
    twice = [len(one) == 2 for one in fates(Quality(duplicate=wanted))]
    damaged = [one[0].flipped_bit is not None for one in fates(Quality(corrupt=wanted))]
    held = [one[0].at_s > n for n, one in enumerate(fates(Quality(reorder=wanted)))]
    for found in (lost, twice, damaged, held):
        assert share(found) == pytest.approx(wanted, abs=0.03)


def test_a_frame_is_late_by_delay_and_at_most_jitter() -> None:
    lateness = [
        one[0].at_s - number
        for number, one in enumerate(fates(Quality(delay_ms=20.0, jitter_ms=30.0)))
    ]
    assert 0.020 <= min(lateness) < 0.022
    assert 0.048 < max(lateness) <= 0.050


def test_jitter_does_not_change_the_order_and_reordering_does() -> None:
    jittered = [one[0].at_s for one in fates(Quality(jitter_ms=30.0), gap_s=0.001)]
    assert jittered == sorted(jittered)
    reordered = [one[0].at_s for one in fates(Quality(reorder=0.1), gap_s=0.001)]
    assert reordered != sorted(reordered)


def test_a_slow_way_carries_its_rate_and_loses_what_would_wait_too_long() -> None:
    arrived = [one[0].at_s for one in fates(Quality(rate_kbit=800.0), gap_s=0.0) if one]
    assert [round(at_s, 6) for at_s in arrived[:3]] == [0.01, 0.02, 0.03]
    assert len(arrived) == pytest.approx(50, abs=1)


def test_a_damaged_frame_differs_in_one_bit_behind_its_header() -> None:
    frame = bytes(SIZE)
    for one in fates(Quality(corrupt=1.0), count=50):
        damaged = flip(frame, one[0].flipped_bit)
        assert damaged[:14] == frame[:14]
        assert sum(byte.bit_count() for byte in damaged) == 1


def test_rules_of_one_way_add_up() -> None:
    both = combine([Quality(loss=0.5, delay_ms=5, rate_kbit=10), Quality(loss=0.5, delay_ms=1)])
    assert both == Quality(loss=0.75, delay_ms=6, rate_kbit=10)
    shapes = {
        "a": [Rule("node1", "node2", CUT, 1)],
        "b": [Rule("node1", "node2", Quality(delay_ms=1))],
    }
    assert table(shapes, 2) == {
        ("node1", "node2", 0): Quality(delay_ms=1),
        ("node1", "node2", 1): Quality(loss=1, delay_ms=1),
    }


@pytest.mark.parametrize("wrong", [{"loss": -0.1}, {"corrupt": 1.1}, {"delay_ms": -1}])
def test_a_quality_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LabError):
        Quality(**wrong)


def test_sides_are_read_from_the_rules_that_make_them() -> None:
    names = ("node1", "node2", "node3")
    rules = (Rule("node1", "node2", CUT), Rule("node1", "node3", CUT))
    both_ways = (*rules, *(Rule(rule.to, rule.from_, CUT) for rule in rules))
    assert sides(names, both_ways) == (("node1",), ("node2", "node3"))
    assert sides(names, ()) == (names,)


def entry(frame: int, word: str = "x") -> Entry:
    return Entry(Moment(frame), None, [], {"word": word})


def test_a_moment_tells_its_virtual_time() -> None:
    assert Moment.at(12.34, 17) == Moment(1_234_017)
    assert Moment(1_234_017).virtual_s == 12.34
    with pytest.raises(ValueError, match="a tick has"):
        Moment.at(1.0, 1000)


def test_an_entry_is_due_before_exactly_the_frame_of_its_number() -> None:
    timetable = Timetable([entry(3)])
    due = [len(timetable.number_frame()) for _ in range(6)]
    assert due == [0, 0, 0, 1, 0, 0]


def test_an_entry_is_due_at_the_end_of_its_tick_if_too_few_frames_came() -> None:
    timetable = Timetable([entry(3)])
    timetable.number_frame()
    assert timetable.pass_time(0.009) == []
    assert timetable.next_at_s() == 0.01
    assert [one.moment for one in timetable.pass_time(0.01)] == [Moment(3)]
    assert timetable.next_at_s() is None


def test_entries_fire_in_the_order_of_their_moments_however_time_passes() -> None:
    entries = [entry(2005, "c"), entry(1, "a"), entry(1000, "b"), entry(2005, "d")]
    for steps in ([0.5], [0.005, 0.01, 0.03], [0.0, 0.02, 0.02, 0.5]):
        timetable = Timetable(entries)
        fired = [one.note["word"] for step in steps for one in timetable.pass_time(step)]
        assert fired == ["a", "b", "c", "d"]


class Wires:
    """A switch whose ports are sockets, and a clock that stands still until told."""

    def __init__(self, count: int) -> None:
        self.now_s = 0.0
        self.heard: list[dict[str, Any]] = []
        self.switch = Switch(lambda: self.now_s, self.heard.append)
        self.nodes: dict[str, socket.socket] = {}
        self._ends: list[socket.socket] = []
        for number in range(1, count + 1):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            theirs.setblocking(False)
            self.nodes[f"node{number}"] = theirs
            port = Port(f"node{number}", 0, ours.detach())
            self.switch.plug_in(ethernet_address(0, number), port)

    def send(self, node: str, frame: bytes) -> None:
        self.nodes[node].send(frame)
        for port in tuple(self.switch.ports.values()):
            if port.node == node:
                self.switch.read_port(port)

    def got(self, node: str) -> list[bytes]:
        frames = []
        while True:
            try:
                frames.append(self.nodes[node].recv(2000))
            except BlockingIOError:
                return frames

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        for port in tuple(self.switch.ports.values()):
            self.switch.unplug(port.fd)


@pytest.fixture
def wires() -> Iterator[Wires]:
    made = Wires(3)
    yield made
    made.close()


def frame(to: int, text: bytes = b"hello") -> bytes:
    return ethernet_address(0, to) + ethernet_address(0, 1) + b"\x08\x00" + text


TO_ALL = b"\xff" * 6 + ethernet_address(0, 1) + b"\x08\x06who?"


def test_a_frame_reaches_whom_it_is_for_and_nobody_else(wires: Wires) -> None:
    wires.send("node1", frame(2))
    assert wires.got("node2") == [frame(2)]
    assert wires.got("node3") == wires.got("node1") == []


def test_a_frame_for_all_reaches_all_others(wires: Wires) -> None:
    wires.send("node1", TO_ALL)
    assert wires.got("node2") == wires.got("node3") == [TO_ALL]
    assert wires.got("node1") == []


def test_a_frame_for_a_stranger_goes_nowhere(wires: Wires) -> None:
    wires.send("node1", frame(9))
    assert wires.got("node2") == wires.got("node3") == []


def test_a_cut_is_one_way_and_ends_with_its_key(wires: Wires) -> None:
    wires.switch.shape("cut", (Rule("node1", "node2", CUT),))
    wires.send("node1", frame(2))
    wires.send("node2", frame(1))
    assert wires.got("node2") == []
    assert wires.got("node1") == [frame(1)]
    wires.switch.shape("cut", ())
    wires.send("node1", frame(2))
    assert wires.got("node2") == [frame(2)]


def test_a_late_frame_comes_when_its_time_is_there(wires: Wires) -> None:
    wires.switch.shape("late", (Rule("node1", "node2", Quality(delay_ms=50.0)),))
    wires.send("node1", frame(2))
    assert wires.switch.pass_time() == pytest.approx(0.05)
    assert wires.got("node2") == []
    wires.now_s = 0.051
    assert wires.switch.pass_time() is None
    assert wires.got("node2") == [frame(2)]


def test_a_fault_of_the_timetable_begins_exactly_between_two_frames(wires: Wires) -> None:
    cut = rules_to_json([Rule("node1", "node2", CUT)])
    entries = [
        Entry(Moment(2), "cut", cut, {"event": "inject"}),
        Entry(Moment(4), "cut", [], {"event": "heal"}),
    ]
    wires.switch.begin(7, entries)
    for number in range(6):
        wires.send("node1", frame(2, b"%d" % number))
    assert [one[-1:] for one in wires.got("node2")] == [b"0", b"1", b"4", b"5"]
    assert wires.heard == [
        {"event": "inject", "virtual_t": 0.0, "frame": 2},
        {"event": "heal", "virtual_t": 0.0, "frame": 4},
    ]


def test_what_fired_is_the_same_whatever_the_traffic_was() -> None:
    def run(frames: Sequence[int]) -> str:
        wires = Wires(3)
        entries = [Entry(Moment.at(0.1 * n, n), None, [], {"n": n}) for n in range(5)]
        wires.switch.begin(7, entries)
        for count in frames:
            for _ in range(count):
                wires.send("node1", frame(2))
            wires.now_s += 0.1
            wires.switch.pass_time()
        wires.close()
        return json.dumps(wires.heard)

    assert run([0] * 6) == run([30] * 6) == run([1, 0, 50, 2, 3, 4])


def test_a_node_that_is_gone_harms_nobody(wires: Wires) -> None:
    wires.nodes["node2"].close()
    wires.send("node1", frame(2))
    wires.send("node1", frame(3))
    assert wires.got("node3") == [frame(3)]


def test_a_capture_has_the_frames_in_pcaps_format(wires: Wires, tmp_path: Path) -> None:
    capture = Capture(str(tmp_path / "frames.pcap"))
    wires.switch.capture = capture.write
    wires.send("node1", frame(2))
    capture.close()
    content = (tmp_path / "frames.pcap").read_bytes()
    assert content[:4] == b"\xd4\xc3\xb2\xa1"
    assert content[24 + 16 :] == frame(2)
    assert int.from_bytes(content[24 + 8 : 24 + 12], "little") == len(frame(2))

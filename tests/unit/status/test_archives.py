"""Which file metrics belong to, and what of them is written."""

import pytest

from pmxcfs.errors import ProtocolError
from pmxcfs.status.archives import FUTURE_S_MAX, GUEST, NODE, STORAGE, archive_update

NOW_S = 1_700_000_000
LIVE_NODE = "100:1:"
LIVE_GUEST = "100:name:running:0:"


def numbers(count: int) -> str:
    return ":".join(str(number) for number in range(1, count + 1))


def padding(count: int) -> str:
    return ":U" * count


@pytest.mark.parametrize(
    ("key", "fields", "file", "text"),
    [
        ("pve2-node/n", LIVE_NODE + f"9:{numbers(12)}", "pve-node-9.0/n", numbers(12) + padding(7)),
        ("pve-node-9.0/n", LIVE_NODE + f"9:{numbers(19)}", "pve-node-9.0/n", numbers(19)),
        ("pve-node-9.2/n", LIVE_NODE + f"9:{numbers(19)}", "pve-node-9.0/n", numbers(19)),
        ("pve-node-10.0/n", LIVE_NODE + f"9:{numbers(25)}", "pve-node-9.0/n", numbers(19)),
        ("pve2.3-vm/7", LIVE_GUEST + f"9:{numbers(10)}", "pve-vm-9.0/7", numbers(10) + padding(7)),
        ("pve-vm-9.0/7", LIVE_GUEST + f"9:{numbers(17)}", "pve-vm-9.0/7", numbers(17)),
        ("pve-vm-9.1/7", LIVE_GUEST + f"9:{numbers(18)}", "pve-vm-9.0/7", numbers(17)),
        ("pve2-storage/n/s", f"9:{numbers(2)}", "pve-storage-9.0/n/s", numbers(2)),
        ("pve-storage-9.0/n/s", f"9:{numbers(2)}", "pve-storage-9.0/n/s", numbers(2)),
        ("pve-storage-9.9/n/s", f"9:{numbers(4)}", "pve-storage-9.0/n/s", numbers(2)),
    ],
)
def test_all_versions_end_up_in_one(key: str, fields: str, file: str, text: str) -> None:
    update = archive_update(key.encode(), fields.encode(), NOW_S)
    assert (update.file, update.text) == (file, f"9:{text}")


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("pve2-node/n", LIVE_NODE + f"9:{numbers(11)}"),
        ("pve2-node/n", LIVE_NODE + f"9:{numbers(13)}"),
        ("pve-node-9.0/n", LIVE_NODE + f"9:{numbers(20)}"),
        ("pve-node-9.1/n", LIVE_NODE + f"9:{numbers(18)}"),
        ("pve2.3-vm/7", LIVE_GUEST + f"9:{numbers(9)}"),
        ("pve-vm-9.0/7", LIVE_GUEST + f"9:{numbers(16)}"),
        ("pve-storage-9.0/n/s", "9:1"),
        ("pve-storage-9.0/n/s", "9:1:2:3"),
        ("pve-storage-9.0/n/s", "9"),
        ("pve-storage-9.0/n/s", ""),
    ],
)
def test_a_wrong_count_of_columns_is_refused(key: str, fields: str) -> None:
    with pytest.raises(ProtocolError, match="columns instead of"):
        archive_update(key.encode(), fields.encode(), NOW_S)


@pytest.mark.parametrize(
    "key",
    [
        b"pve2-vm/100",  # never was a form
        b"pve2-node",
        b"pve2-node/",
        b"pve2-node/..",
        b"pve2-node/.hidden",
        b"pve2-node/a/b",
        b"pve-node-../x/y",
        b"pve-node-",
        b"pve2.3-vm/../../x",
        b"pve-vm-9.0/a b",
        b"pve-vm-9.0/a\nFLUSHALL",
        b"pve-vm-9.0/\xff",
        b"pve-vm-9.0/-t",
        b"pve-vm-9.0/" + b"a" * 220,
        b"pve2-storage/n",
        b"pve2-storage//s",
        b"pve2-storage/n/",
        b"pve2-storage/../s",
        b"pve2-storage/n/..",
        b"pve2-storage/n/s/t",
        b"/etc/passwd",
        b"",
    ],
)
def test_a_key_that_names_no_file_is_refused(key: bytes) -> None:
    text = (LIVE_GUEST + f"9:{numbers(17)}").encode()
    with pytest.raises(ProtocolError, match=r"name of a file|unknown kind|not ASCII"):
        archive_update(key, text, NOW_S)


@pytest.mark.parametrize("value", ["1", "-1", "+1.5", ".5", "1.", "1e3", "1.5E-03", "U"])
def test_numbers_are_written_as_they_are(value: str) -> None:
    update = archive_update(b"pve2-storage/n/s", f"9:{value}:2".encode(), NOW_S)
    assert update.text == f"9:{value}:2"


@pytest.mark.parametrize("value", ["nan", "NaN", "-inf", "Infinity"])
def test_what_is_no_number_is_unknown(value: str) -> None:
    update = archive_update(b"pve2-storage/n/s", f"9:{value}:2".encode(), NOW_S)
    assert update.text == "9:U:2"


@pytest.mark.parametrize(
    "value", ["", " 1", "1 ", "1,5", "0x10", "1e400", "9" * 90, "UU", "--1", "\n", "\u00b2", "1_0"]
)
def test_other_words_are_refused(value: str) -> None:
    with pytest.raises(ProtocolError):
        archive_update(b"pve2-storage/n/s", f"9:{value}:2".encode(), NOW_S)


@pytest.mark.parametrize("value", ["1.5", "1e3", "+1"])
def test_a_counter_takes_whole_numbers_only(value: str) -> None:
    fields = (LIVE_NODE + f"9:{numbers(19)}").split(":")
    fields[3 + NODE.columns.index("netin")] = value
    with pytest.raises(ProtocolError, match="netin"):
        archive_update(b"pve-node-9.0/n", ":".join(fields).encode(), NOW_S)


@pytest.mark.parametrize("stamp", [f"{NOW_S}", f"{NOW_S + FUTURE_S_MAX}", "1.5", "N"])
def test_times_are_written_as_they_are(stamp: str) -> None:
    update = archive_update(b"pve2-storage/n/s", f"{stamp}:1:2".encode(), NOW_S)
    assert update.text == f"{stamp}:1:2"


@pytest.mark.parametrize(
    "stamp", [f"{NOW_S + FUTURE_S_MAX + 1}", "-1", "", "U", "now", "--daemon=x", "12:30@"]
)
def test_other_times_are_refused(stamp: str) -> None:
    with pytest.raises(ProtocolError):
        archive_update(b"pve2-storage/n/s", f"{stamp}:1:2".encode(), NOW_S)


def test_a_live_field_may_be_anything() -> None:
    text = "100:\xff../..;\n:running:0:".encode() + f"9:{numbers(17)}".encode()
    assert archive_update(b"pve-vm-9.0/7", text, NOW_S).text == f"9:{numbers(17)}"


def test_the_kinds_have_the_references_columns() -> None:
    assert [len(schema.columns) for schema in (NODE, GUEST, STORAGE)] == [19, 17, 2]
    assert NODE.definition()[:3] == [
        "DS:loadavg:GAUGE:120:0:U",
        "DS:maxcpu:GAUGE:120:0:U",
        "DS:cpu:GAUGE:120:0:U",
    ]
    assert "DS:diskread:DERIVE:120:0:U" in GUEST.definition()
    assert STORAGE.definition()[2:] == [
        "RRA:AVERAGE:0.5:1:1440",
        "RRA:AVERAGE:0.5:30:1440",
        "RRA:AVERAGE:0.5:360:1440",
        "RRA:AVERAGE:0.5:10080:570",
        "RRA:MAX:0.5:1:1440",
        "RRA:MAX:0.5:30:1440",
        "RRA:MAX:0.5:360:1440",
        "RRA:MAX:0.5:10080:570",
    ]

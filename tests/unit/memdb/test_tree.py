"""What the tree keeps true, and which entries it refuses to be built from."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.memdb.entry import ROOT_INODE, Change, Entry, EntryType, Inode
from pmxcfs.memdb.paths import split
from pmxcfs.memdb.tree import Tree

ROOT = Entry(ROOT_INODE, ROOT_INODE, 20, 1, 5, EntryType.DIRECTORY, b"")


def directory(inode: int, name: bytes, parent: int = 0) -> Entry:
    return Entry(Inode(inode), Inode(parent), inode, 1, 5, EntryType.DIRECTORY, name)


def file(inode: int, name: bytes, parent: int = 0, data: bytes = b"") -> Entry:
    return Entry(Inode(inode), Inode(parent), 1, 1, 5, EntryType.FILE, name, len(data), data)


A, B, F, G = directory(2, b"a"), directory(3, b"b", 2), file(4, b"f", 3, b"xyz"), file(5, b"g")


def a_tree() -> Tree:
    return Tree.from_entries([ROOT, A, B, F, G])


def test_a_new_tree_has_version_1_and_nothing_but_a_root_without_time() -> None:
    tree = Tree.new()
    assert tree.root == Entry(ROOT_INODE, ROOT_INODE, 1, 0, 0, EntryType.DIRECTORY, b"")
    assert (len(tree), list(tree.entries()), tree.children(ROOT_INODE)) == (1, [tree.root], [])


def test_entries_may_come_in_any_order_and_are_kept_by_inode() -> None:
    tree = Tree.from_entries([G, F, B, A, ROOT])
    assert list(tree.entries()) == [ROOT, A, B, F, G]
    assert len(tree) == 5


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        (b"", ROOT),
        (b".", ROOT),
        (b"/", ROOT),
        (b"//", ROOT),
        (b"a", A),
        (b"/a/", A),
        (b"a//b", B),
        (b"a/b/f", F),
        (b"g", G),
        (b"g/x", None),
        (b"a/.", None),
        (b"a/..", None),
        (b"..", None),
        (b"A", None),
        (b"a/b/none", None),
    ],
)
def test_a_path_is_followed_name_by_name(path: bytes, entry: Entry | None) -> None:
    assert a_tree().find(path) == entry


@pytest.mark.parametrize(
    ("path", "directory_and_name"),
    [
        (b"", (b"", b"")),
        (b"/", (b"", b"")),
        (b"f", (b"", b"f")),
        (b"/f/", (b"", b"f")),
        (b"a/b/f", (b"a/b", b"f")),
        (b"a//f//", (b"a", b"f")),
        (b"//a/f", (b"//a", b"f")),
        (b"a~/f~", (b"a~", b"f~")),
        (b"a/..", (b"a", b"..")),
    ],
)
def test_a_path_has_a_directory_and_a_name(
    path: bytes, directory_and_name: tuple[bytes, bytes]
) -> None:
    assert split(path) == directory_and_name


def test_a_path_leads_back_to_its_entry() -> None:
    tree = a_tree()
    assert [tree.path_of(entry.inode) for entry in tree.entries()] == [
        b"",
        b"a",
        b"a/b",
        b"a/b/f",
        b"g",
    ]
    with pytest.raises(KeyError):
        tree.path_of(Inode(99))


def test_putting_an_entry_elsewhere_moves_it() -> None:
    tree = a_tree()
    tree.put(replace(F, parent=A.inode, name=b"new"))
    assert tree.find(b"a/b/f") is None
    assert tree.path_of(F.inode) == b"a/new"
    assert not tree.has_children(B.inode)
    assert [entry.inode for entry in tree.children(A.inode)] == [B.inode, F.inode]


def test_the_children_of_a_directory_are_a_snapshot() -> None:
    tree = a_tree()
    children = tree.children(ROOT_INODE)
    tree.remove(G.inode)
    assert children == [A, G]
    assert tree.children(ROOT_INODE) == [A]
    assert tree.child(ROOT_INODE, b"g") is None


def test_the_size_of_all_content_is_kept() -> None:
    tree = a_tree()
    assert tree.content_size_bytes == 3
    tree.put(replace(F, data=b"12345", size=5))
    assert tree.content_size_bytes == 5
    tree.put(replace(G, size=7))
    assert tree.content_size_bytes == 12
    tree.remove(F.inode)
    assert tree.content_size_bytes == 7


def test_changes_are_undone_in_reverse() -> None:
    tree = a_tree()
    stamped = replace(ROOT, version=21)
    moved = replace(F, parent=ROOT_INODE, name=b"g")
    changes = [Change(G, None), Change(F, moved), Change(ROOT, stamped)]
    tree.remove(G.inode)
    tree.put(moved)
    tree.put(stamped)
    assert tree.find(b"g") == moved
    tree.revert(changes)
    assert list(tree.entries()) == [ROOT, A, B, F, G]
    assert (tree.find(b"g"), tree.find(b"a/b/f")) == (G, F)
    assert tree.content_size_bytes == 3


def test_making_a_directory_and_a_file_in_it_can_be_undone_together() -> None:
    tree = a_tree()
    inner = file(7, b"f", 6)
    new = directory(6, b"new")
    tree.put(new)
    tree.put(inner)
    tree.revert([Change(None, new), Change(None, inner)])
    assert list(tree.entries()) == [ROOT, A, B, F, G]
    assert not tree.has_children(new.inode)


def test_entries_that_took_each_others_places_go_back_and_forth() -> None:
    tree = a_tree()
    before = list(tree.entries())
    f_at_g = replace(F, parent=G.parent, name=G.name)
    g_at_f = replace(G, parent=F.parent, name=F.name)
    changes = [Change(F, f_at_g), Change(G, g_at_f)]
    tree.redo(changes)
    assert (tree.find(b"g"), tree.find(b"a/b/f")) == (f_at_g, g_at_f)
    tree.revert(changes)
    assert list(tree.entries()) == before
    assert (tree.find(b"g"), tree.find(b"a/b/f")) == (G, F)


def test_an_entry_that_took_the_place_of_a_younger_one_gives_it_back() -> None:
    tree = a_tree()
    older, younger = sorted((F, G), key=lambda entry: entry.inode)
    moved = replace(older, parent=younger.parent, name=younger.name)
    changes = [Change(older, moved), Change(younger, None)]
    tree.redo(changes)
    tree.revert(changes)
    assert (tree.find(b"g"), tree.find(b"a/b/f")) == (G, F)


REFUSED: list[tuple[str, Callable[[], list[Entry]], str]] = [
    ("no root", lambda: [A], r"the root \(inode 0\) is missing"),
    ("no entries", list, r"the root \(inode 0\) is missing"),
    ("a root with a name", lambda: [replace(ROOT, name=b"x")], "not a root"),
    ("a root that is a file", lambda: [replace(ROOT, type=EntryType.FILE)], "not a root"),
    ("a root with a parent", lambda: [replace(ROOT, parent=A.inode), A], "not a root"),
    ("version 0", lambda: [replace(ROOT, version=0)], "version of the tree is out of range: 0"),
    ("version 2^63", lambda: [replace(ROOT, version=2**63)], "out of range"),
    ("one inode twice", lambda: [ROOT, A, replace(A, name=b"c")], "inode 2 appears twice"),
    ("no name", lambda: [ROOT, file(2, b"")], "inode 2 has no name"),
    ("a slash", lambda: [ROOT, file(2, b"a/b")], "'a/b'.*slash or a NUL"),
    ("a NUL", lambda: [ROOT, file(2, b"a\0b")], "slash or a NUL"),
    ("one place for two", lambda: [ROOT, A, file(4, b"a")], r"2 \('a'\) and .*4 .*same place"),
    (
        "content in a directory",
        lambda: [ROOT, replace(A, data=b"x", size=1)],
        r"inode 2 \('a'\) is a directory and has content",
    ),
    ("a directory with a size", lambda: [ROOT, replace(A, size=1)], "directory and has content"),
    ("a directory with data", lambda: [ROOT, replace(A, data=b"x")], "directory and has content"),
    ("a missing parent", lambda: [ROOT, B], r"parent of inode 3 \('b'\), inode 2, is missing$"),
    (
        "a file as parent",
        lambda: [ROOT, G, file(6, b"x", 5)],
        r"parent of inode 6 \('x'\), inode 5, is a file: inode 5 \('g'\)",
    ),
    (
        "a file as parent of a smaller inode",
        lambda: [ROOT, file(4, b"x", 5), G],
        r"parent of inode 4 \('x'\), inode 5, is a file",
    ),
    ("its own parent", lambda: [ROOT, directory(2, b"a", 2)], r"2 \('a'\) is its own ancestor"),
    (
        "a cycle",
        lambda: [ROOT, directory(2, b"a", 3), directory(3, b"b", 2), file(4, b"f", 3)],
        r"inode 2 \('a'\) is its own ancestor",
    ),
    (
        "a number of the future",
        lambda: [ROOT, file(21, b"x")],
        r"21 \('x'\) has a number above the version of the tree, 20",
    ),
]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [pytest.param(entries, sentence, id=name) for name, entries, sentence in REFUSED],
)
def test_unsound_entries_are_refused(entries: Callable[[], list[Entry]], sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence):
        Tree.from_entries(entries())


@pytest.mark.parametrize("name", [b"..", b".", b"\xff\xfe", "grün".encode(), b"x" * 300, b" "])
def test_a_name_may_be_any_text_that_a_message_can_bring(name: bytes) -> None:
    tree = Tree.from_entries([ROOT, A, file(3, name, 2)])
    assert tree.child(A.inode, name) is not None


def test_a_parent_may_have_a_larger_inode_than_its_child() -> None:
    tree = Tree.from_entries([ROOT, file(4, b"f", 9), directory(9, b"d")])
    assert tree.path_of(Inode(4)) == b"d/f"


@pytest.mark.parametrize("version", [20, 2**32, 2**63 - 1])
def test_the_version_may_be_any_number_that_a_database_can_hold(version: int) -> None:
    assert Tree.from_entries([replace(ROOT, version=version), A]).root.version == version


def test_a_size_without_content_is_no_damage() -> None:
    hollow = replace(G, size=7)
    assert Tree.from_entries([ROOT, hollow]).get(G.inode) == hollow

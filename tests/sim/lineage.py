"""Which state of the tree came from which: the family tree of all states on all nodes."""

from dataclasses import dataclass

from pmxcfs.memdb.index import tree_checksum
from pmxcfs.memdb.operations import Operation
from pmxcfs.memdb.tree import Tree


@dataclass(frozen=True, slots=True)
class State:
    """One content of the tree; equal on two nodes means that their trees are equal."""

    version: int
    checksum: bytes

    def __str__(self) -> str:
        return f"{self.version}:{self.checksum.hex()[:6]}"


def state_of(tree: Tree) -> State:
    """Return what a tree is right now."""
    return State(tree.root.version, tree_checksum(tree))


class Lineage:
    """Remembers by which operation each state was made out of which.

    A state has one parent, save for the rare case that an operation wipes out the only difference
    between two states.
    """

    def __init__(self) -> None:
        self._origins: dict[State, dict[State, Operation]] = {}

    def add(self, before: State, operation: Operation, after: State) -> None:
        """Note that ``operation`` led from one state to the other."""
        self._origins.setdefault(after, {})[before] = operation

    def includes(self, state: State, ancestor: State) -> bool:
        """Whether ``state`` is ``ancestor`` or was made from it by operations alone."""
        waiting = [state]
        seen = set()
        while waiting:
            child = waiting.pop()
            if child == ancestor:
                return True
            if child.version > ancestor.version and child not in seen:
                seen.add(child)
                waiting += self._origins.get(child, ())
        return False

    def ancestor(self, state: State, version: int) -> State | None:
        """Return the state at a version from which ``state`` was made, None if it is not known."""
        while state.version > version:
            origins = self._origins.get(state)
            if not origins:
                return None
            state = next(iter(origins))
        return state

    def has_been_applied(self, state: State, operation: Operation, depth_max: int = 200) -> bool:
        """Whether the operation is among the last that led to ``state``."""
        level = {state}
        for _ in range(depth_max):
            origins = [self._origins[child] for child in level if child in self._origins]
            if any(operation in origin.values() for origin in origins):
                return True
            level = {parent for origin in origins for parent in origin}
            if not level:
                break
        return False

    def forget(self) -> None:
        """Start afresh, once all nodes are in one state: older ones no longer matter."""
        self._origins.clear()

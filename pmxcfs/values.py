"""Values: frozen dataclasses, which the interpreter does not check.

A change makes some two dozen of them on its way. What a frozen dataclass checks at run time makes
it four times as slow to build as one that is not; so mypy alone holds it. For mypy, and for
mypyc, ``value`` is ``dataclasses.dataclass`` itself: what they know of it they know of values.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> object:
        """Make a class of values out of annotated fields: hashable, equal if all fields are."""
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]

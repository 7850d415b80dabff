"""Values: dataclasses whose fields nobody may set anew.

A change makes some two dozen of them on its way. What a frozen dataclass checks at run time makes
it four times as slow to build as one that is not; so here mypy alone holds it.
"""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Fields = TypeVar("Fields")


@dataclass_transform(frozen_default=True)
def value(fields: type[Fields]) -> type[Fields]:
    """Make values out of annotated fields: slotted, hashable, equal if all their fields are."""
    return dataclass(slots=True, unsafe_hash=True)(fields)

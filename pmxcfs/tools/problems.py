"""What can be wrong with a database: one type for all findings, and how they are put into words."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    REFUSED = "refused"
    """The daemon does not start with it."""
    WRONG = "wrong"
    """The daemon starts, but this should not be there."""
    WARNING = "warning"
    """Allowed, and worth a look."""


class Kind(StrEnum):
    """The classes of damage, by the names that ``check --json`` prints."""

    NOT_A_DATABASE = "not-a-database"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    LOG = "log"
    SCHEMA = "schema"
    NO_ROWS = "no-rows"
    CUT_OFF = "cut-off"
    NO_VERSION_ROW = "no-version-row"
    VERSION_ROW = "version-row"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    UNKNOWN_TYPE = "unknown-type"
    DUPLICATE_INODE = "duplicate-inode"
    INODE_ABOVE_VERSION = "inode-above-version"
    VERSION_ABOVE_VERSION = "version-above-version"
    BAD_NAME = "bad-name"
    DIRECTORY_WITH_CONTENT = "directory-with-content"
    OVERSIZED = "oversized"
    MISSING_PARENT = "missing-parent"
    FILE_AS_PARENT = "file-as-parent"
    CYCLE = "cycle"
    DUPLICATE_NAME = "duplicate-name"
    DUPLICATE_VMID = "duplicate-vmid"
    FILE_AS_GUEST_DIRECTORY = "file-as-guest-directory"
    TOO_MUCH = "too-much"
    DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding; ``inode`` is the row it is about, None for the file as a whole."""

    kind: Kind
    severity: Severity
    sentence: str
    inode: int | None = None


def printable(name: bytes) -> str:
    """Return a name as text that can do a terminal no harm: what is odd in it is escaped."""
    text = name.decode(errors="backslashreplace")
    return "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1].replace("'", "") for letter in text
    )

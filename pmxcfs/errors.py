"""The three ways a request can fail, as three types that never mix."""

from errno import errorcode


class OperationError(Exception):
    """The caller's request cannot be done. Every replica comes to the same verdict.

    Attributes:
        errno: a positive Linux error number, for example ``errno.ENOENT``.
    """

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno

    def __str__(self) -> str:
        return errorcode.get(self.errno, str(self.errno))


class ProtocolError(Exception):
    """A peer sent something that the protocol does not allow."""


class StorageError(Exception):
    """Our own database cannot be read or written."""


class DamagedDatabaseError(StorageError):
    """Our own database is no sound one of ours, and will be none at the next try either."""


class TemporaryStorageError(StorageError):
    """Our own database cannot be written at this moment: it is locked, or its disk is full."""

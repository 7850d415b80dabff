"""Which release this is, and which revision of the source it was built from."""

import subprocess
from importlib import import_module
from pathlib import Path

from pmxcfs import __version__

UNKNOWN = "unknown"
_REPOSITORY = Path(__file__).parent.parent


def version_line(program: str) -> str:
    """Return what ``--version`` prints."""
    return f"{program} {__version__} (revision {revision()})"


def revision() -> str:
    """Return the commit, shortened; with "-dirty" if there was more than it in the tree.

    A build has it written down (``setup.py``); a checkout asks git.
    """
    try:
        return str(import_module("pmxcfs._revision").REVISION)
    except ModuleNotFoundError:
        return _revision_of_checkout()


def _revision_of_checkout() -> str:
    if not (_REPOSITORY / ".git").exists():
        return UNKNOWN
    command = ["git", "-C", str(_REPOSITORY), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    return told.stdout.strip() or UNKNOWN

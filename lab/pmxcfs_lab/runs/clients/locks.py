"""Clients of locks, as management tools take them: a directory below priv/lock.

Who finds it taken asks to have it broken, which the daemons do once it is 120 s old, and tries
again. Source: docs/PROTOCOL.md, "Locks".
"""

import errno
from functools import partial

from pmxcfs_lab.runs.clients.session import Session

FOLDER = "priv/lock"


def contend(session: Session) -> None:
    """Take locks in turn, hold each for a moment, give it back.

    Options: every_s, names, hold_s, abandoned (a name, or None): a lock that whoever gets it
    leaves behind, as if it had crashed.
    """
    options, chance = session.order.options, session.chance
    while session.goes_on(options["every_s"]):
        names = list(options["names"])
        if options["abandoned"] and chance.random() < 0.2:
            names = [options["abandoned"]]
        _try_to_hold(session, chance.choice(names))


def _try_to_hold(session: Session, name: str) -> None:
    path, mount = f"{FOLDER}/{name}", session.mount
    taken = session.call("lock", path, partial(mount.mkdir, path))
    if isinstance(taken, OSError):
        if taken.errno == errno.EEXIST:
            session.call("break", path, partial(mount.touch, path, 0))
    elif name == session.order.options["abandoned"]:
        session.note("abandon", path)
    else:
        session.goes_on(session.order.options["hold_s"])
        session.call("unlock", path, partial(mount.rmdir, path))

"""Clients of files: who replaces them as management tools do, and who reads them."""

import errno
from functools import partial

from pmxcfs_lab.runs.clients import text
from pmxcfs_lab.runs.clients.mount import Mount
from pmxcfs_lab.runs.clients.session import Session

TOP = "lab"
"""The folder below which clients keep files; each has its own."""


def update(session: Session) -> None:
    """Replace files of its own again and again: a draft, renamed over the file.

    Options: every_s, files (0: a new one each time), lines (up to so many), sync_one_in (0: never).
    """
    options, chance = session.order.options, session.chance
    folder = f"{TOP}/{session.order.client}"
    count, drafts = options["first"], set[str]()
    while session.goes_on(options["every_s"]):
        count += 1
        files = options["files"]
        path = f"{folder}/{chance.randrange(files) if files else count}"
        draft = f"{folder}/draft-{count}"
        token = text.token(session.order.client, count, chance.randint(1, options["lines"]))

        drafts.add(draft)
        replace = partial(_replace, session.mount, path, draft, text.content(token))
        if not isinstance(session.call("update", path, replace, value=token), OSError):
            drafts.discard(draft)
            if options["sync_one_in"] and chance.randrange(options["sync_one_in"]) == 0:
                session.call("fsync", folder, partial(session.mount.sync, folder))
        elif len(drafts) > 1:
            _clear(session, drafts)


def _replace(mount: Mount, path: str, draft: str, content: bytes) -> None:
    mount.put(draft, content)
    mount.rename(draft, path)


def _clear(session: Session, drafts: set[str]) -> None:
    """Remove a draft that an update which failed may have left."""
    draft = min(drafts)
    found = session.call("unlink", draft, partial(session.mount.unlink, draft))
    if not isinstance(found, OSError) or found.errno == errno.ENOENT:
        drafts.discard(draft)


def read(session: Session) -> None:
    """Read others' files, and what the daemon shows of itself, in turn.

    Options: every_s, paths, views.
    """
    options, chance = session.order.options, session.chance
    while session.goes_on(options["every_s"]):
        path = chance.choice(options["paths"])
        session.call("read", path, partial(_read, session.mount, path), shows=str)
        if options["views"]:
            view = chance.choice(options["views"])
            session.call("view", view, partial(session.mount.read, view), shows=_size)


def _read(mount: Mount, path: str) -> str:
    try:
        return text.recognised(mount.read(path))
    except FileNotFoundError:
        return text.ABSENT


def _size(found: bytes) -> str:
    return f"{len(found)} bytes"

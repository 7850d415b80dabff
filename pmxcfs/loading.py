"""The tree at the start: what the database has, and what a new one takes over from the host."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from pmxcfs.database import Database
from pmxcfs.dcdb import COROSYNC_CONF
from pmxcfs.errors import StorageError
from pmxcfs.identity import LOCAL_NODE_ID
from pmxcfs.instance import StartError
from pmxcfs.memdb.entry import Change
from pmxcfs.memdb.memdb import Memdb
from pmxcfs.memdb.operations import Create, Write
from pmxcfs.options import Options

log = structlog.get_logger("main")


def load(database: Database, options: Options) -> Memdb:
    """Load the tree; a new one takes over the host's corosync.conf unless we are to be alone.

    Raises:
        StorageError: the rows describe no sound tree.
        StartError: the host's corosync.conf cannot be taken over.
    """
    tree = database.load()
    try:
        memdb = Memdb(tree, now_s=int(time.time()))
    except StorageError as error:
        raise database.refusal(error) from error
    if database.was_new and not options.is_local and options.corosync_conf.is_file():
        database.commit(_import(options.corosync_conf, memdb))
        log.info("imported corosync.conf into the new database", source=options.corosync_conf)
    return memdb


def has_corosync_conf(memdb: Memdb) -> bool:
    """Whether the tree says that it is a cluster's."""
    entry = memdb.tree.find(COROSYNC_CONF)
    return entry is not None and not entry.is_directory


def _import(corosync_conf: Path, memdb: Memdb) -> Sequence[Change]:
    """Put the host's file into the tree; return all changes, for one transaction.

    Raises:
        StartError: it can't be read, or is too large.
    """
    # With a leading slash, as in the reference: so the change counters do not move.
    path, now_s = b"/" + COROSYNC_CONF, int(time.time())
    try:
        text = corosync_conf.read_bytes()
    except OSError as error:
        raise StartError(f"cannot read {corosync_conf}: {error.strerror}") from error
    changes: list[Change] = []
    for operation in (Create(path), Write(path, 0, text)):
        outcome = memdb.apply(operation, LOCAL_NODE_ID, now_s, now_s)
        if outcome.result < 0:
            raise StartError(f"cannot import {corosync_conf}: {os.strerror(-outcome.result)}")
        changes += outcome.changes
    return changes

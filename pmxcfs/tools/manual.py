"""What ``pmxcfs-db`` says of itself, and its exit status."""

EXIT_DIFFERENT = 1
EXIT_FAILURE = 2
EXIT_USAGE = 255
EXIT_SIGNAL = 128  # and the number of the signal

ABOUT = """Look at, compare, save and repair pmxcfs databases (config.db), without mounting them.

DB is any config.db: the one of a running daemon, one whose daemon has crashed, or one copied from
another host, then together with the config.db-wal beside it if there is one. Except for restore,
and the new files that the other commands are told to make, nothing is ever written: everything
works on a private copy below $TMPDIR, and not even SQLite's -wal and -shm files are touched.

A damaged DB can be dumped, compared and extracted too. What is then shown is what repair would
make of it.

\b
Exit status:
    0  done; the database is sound; no difference
    1  check found something wrong; diff found a difference; the copy that
       snapshot made is damaged like the original; repair was not confirmed
    2  it could not be done: nothing can be read, the target exists, a daemon runs
  255  wrong usage
  128 + N  ended by signal N

\b
Examples:
  pmxcfs-db check /var/lib/pve-cluster/config.db
  pmxcfs-db snapshot /var/lib/pve-cluster/config.db /root/backup/
  pmxcfs-db extract /root/backup/config.db.20260105T020000Z /tmp/pve
"""

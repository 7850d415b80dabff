"""What ``pmxcfs-ctl`` says of itself, and its exit status."""

EXIT_DEGRADED = 1
EXIT_UNREACHABLE = 2
EXIT_USAGE = 255
EXIT_INTERRUPTED = 130

ABOUT = """Ask the running pmxcfs how it is, why it takes no changes, and what happens.

The daemon is asked over a socket in its run directory, never through the mount. It answers from
memory: also without quorum, with a corosync that hangs or is dead, with a full disk, and when the
mount hangs. Corosync is asked too, in a process of its own, for three seconds at the most. If
pmxcfs does not run or does not answer, that is said with what can be seen from outside.

Root may ask for everything; members of the group www-data may ask too, but do not see the names of
locks and private paths.

\b
Exit status:
    0  all is well; done
    1  something needs attention: see pmxcfs-ctl explain; or the daemon refused
    2  pmxcfs does not run or does not answer
  130  interrupted while following
  255  wrong usage

\b
Examples:
  pmxcfs-ctl status
  pmxcfs-ctl explain
  pmxcfs-ctl watch nodes/pve1/qemu-server
  pmxcfs-ctl status --json | jq .status.quorum
"""

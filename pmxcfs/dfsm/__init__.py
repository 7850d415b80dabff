"""The replication protocol spoken in a corosync closed process group. Pure; knows no tree."""

"""Whether a majority of the cluster has a change on its disks: a protocol of our own, pure."""

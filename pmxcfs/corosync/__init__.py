"""corosync: its C libraries, whose callbacks become event values."""

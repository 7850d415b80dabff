"""Volatile cluster state: who is a member and who is online. Pure, no I/O."""

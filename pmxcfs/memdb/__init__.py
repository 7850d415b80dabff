"""The configuration tree: entries, operations, locks, guests and its index. Pure, no I/O."""

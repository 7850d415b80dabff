"""What changed and when: a history of the tree in a database of its own beside ``config.db``."""

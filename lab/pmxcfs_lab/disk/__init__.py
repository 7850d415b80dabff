"""A disk that can fail: a pass-through file system that knows what has not been synced yet."""

"""What runs on nodes during a run: one small process a client, of the standard library only."""

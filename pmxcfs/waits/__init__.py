"""How long this node waits for the others, and what it does then. Pure; told of passing time."""

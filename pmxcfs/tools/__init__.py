"""Tools for the operator: a database without its daemon. Nothing here is imported by the daemon."""

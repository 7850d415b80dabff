"""The daemon's own state in Prometheus' format: read from plain counts when somebody asks."""

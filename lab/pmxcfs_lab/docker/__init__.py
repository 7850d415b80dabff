"""The provider `docker`: nodes are containers of lab/docker-compose.yml."""

"""Nodes made of Linux namespaces: no container engine, only root and util-linux."""

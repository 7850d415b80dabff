"""pmxcfs: the Proxmox cluster file system, in Python."""

__version__ = "0.1.0"

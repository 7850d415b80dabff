"""The IPC service: what management tools ask for beside the mount, through libqb.

Two processes. The *porter* (``porter.py``) has libqb, its sockets and its shared memory; the daemon
(``service.py``) answers. What clients can do to shared memory stays outside of the daemon.

Source: docs/PROTOCOL.md, "IPC"; docs/decisions/0008-a-porter-for-the-ipc-service.md.
"""

"""How a lab's cluster is set up, beyond its nodes."""

from dataclasses import dataclass

from pmxcfs_lab.errors import LabError

LINKS_MAX = 2
TOKEN_MS = 1000
"""How long corosync waits for the token; a dead node is noticed a few of these later."""

TOKEN_MS_RANGE = (100, 60_000)


@dataclass(frozen=True, slots=True)
class Options:
    """What may differ from lab to lab.

    Attributes:
        crypto: corosync encrypts and signs.
        token_ms: how long corosync waits for its token.
        links: how many networks the nodes have in common.
        qdevice: a further host runs corosync-qnetd, and has a vote.
        disk: databases lie on a disk layer that can fail.
        switch: frames go through the lab's own switch, not the kernel's.
    """

    crypto: bool = False
    token_ms: int = TOKEN_MS
    links: int = 1
    qdevice: bool = False
    disk: bool = False
    switch: bool = False

    def __post_init__(self) -> None:
        least, most = TOKEN_MS_RANGE
        if not least <= self.token_ms <= most:
            raise LabError(f"A token of {self.token_ms} ms cannot be: say {least} to {most}.")
        if not 1 <= self.links <= LINKS_MAX:
            raise LabError(f"A node has 1 to {LINKS_MAX} links, not {self.links}.")


DEFAULT = Options()

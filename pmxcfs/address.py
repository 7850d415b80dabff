"""Where the other nodes reach this one: the address to which its name resolves.

Source: docs/PROTOCOL.md, "Process".
"""

import ipaddress
import socket

import structlog
import trio

from pmxcfs.instance import StartError
from pmxcfs.options import Options

log = structlog.get_logger("main")

LOOKUP_S_MAX = 30


async def own_address(options: Options) -> str | None:
    """Return the address that we tell the other nodes, as text.

    It is the first one of the node's name that is not a loopback address. Without one the cluster
    would have a node that nobody finds, so we do not start. None only if the name was given on the
    command line: then it need not be a host's.

    Raises:
        StartError: the host's name has no such address.
    """
    address = None
    with trio.move_on_after(LOOKUP_S_MAX):
        address = await trio.to_thread.run_sync(resolve, options.node_name, abandon_on_cancel=True)
    if address is None and not options.has_given_name:
        raise StartError(
            f"the name of this host, {options.node_name}, does not resolve to an address at which "
            f"other nodes reach it (127.* and ::1 do not count); "
            f"add a line with its address and {options.node_name} to /etc/hosts"
        )
    if address is None:
        log.warning("no address to tell the other nodes: the name does not resolve to one")
    return address


def resolve(name: str) -> str | None:
    """Return the first address of a name that is not a loopback address. Blocks."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    texts = (str(address[0]) for *_, address in found)
    return next((text for text in texts if not _is_loopback(text)), None)


def _is_loopback(text: str) -> bool:
    return ipaddress.ip_address(text.partition("%")[0]).is_loopback

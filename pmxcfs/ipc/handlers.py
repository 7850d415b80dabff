"""What every request of the IPC service does, and whom it is refused.

Nothing here waits: a request reads memory, or starts what the status group does by itself.

Source: docs/PROTOCOL.md, "IPC"; docs/SECURITY.md.
"""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import ECHRNG, EFBIG, EINVAL, EIO, ENOENT, EPERM
from time import perf_counter_ns

import structlog

from pmxcfs import views
from pmxcfs.errors import OperationError
from pmxcfs.ipc import requests
from pmxcfs.ipc.clients import Client, is_read_only
from pmxcfs.ipc.properties import Found, properties_of, properties_text
from pmxcfs.ipc.requests import RequestId
from pmxcfs.memdb.entry import Entry
from pmxcfs.memdb.guests import DIRECTORY_OF_KIND, NODES_DIRECTORY, Guest
from pmxcfs.memdb.paths import is_private
from pmxcfs.replica import Replica
from pmxcfs.status_driver import StatusDriver
from pmxcfs.tallies import Requests

log = structlog.get_logger("ipcs")

PRIORITY_MAX = 7
LOG_ENTRIES = 50
"""How many log entries a client gets that does not say how many it wants."""

VMID_MIN = 100
TOKENS = b"priv/token.cfg"

Handler = Callable[[Client, bytes], bytes]

_LASTING = frozenset(
    {
        RequestId.GET_VERSION,
        RequestId.GET_MEMBERS,
        RequestId.GET_GUESTS,
        RequestId.GET_STATUS,
        RequestId.GET_FILE,
        RequestId.GET_LOG,
        RequestId.GET_GUEST_PROPERTY,
        RequestId.GET_GUEST_PROPERTIES,
    }
)
"""Requests that change nothing, and whose answer depends on nothing but the node's state."""

LASTING_BYTES_MAX = 1024
"""Longer requests nobody makes."""

_NAMES = {int(request): request.name.lower() for request in RequestId}


class Handlers:
    """Answers requests from one node's state.

    Args:
        replica: has the tree.
        status: has what no disk remembers; values and log entries of clients go there.
        process: the daemon's own identity.
        group_gid: of the group that may only read.
        now_s: our clock.
        content_of: what a file reads as on this node.

    Attributes:
        requests: counts of what was asked for.
    """

    def __init__(
        self,
        replica: Replica,
        status: StatusDriver,
        process: views.Process,
        group_gid: int,
        now_s: Callable[[], int],
        content_of: Callable[[Entry], bytes] = lambda entry: entry.data or bytes(entry.size),
    ) -> None:
        self.requests = Requests()
        self._replica = replica
        self._driver = status
        self._status = status.node.status
        self._process = process
        self._group_gid = group_gid
        self._now_s = now_s
        self._content_of = content_of
        self._handlers: dict[int, Handler] = {
            RequestId.GET_VERSION: self._get_version,
            RequestId.GET_MEMBERS: self._get_members,
            RequestId.GET_GUESTS: self._get_guests,
            RequestId.SET_STATUS: self._set_status,
            RequestId.GET_STATUS: self._get_status,
            RequestId.GET_FILE: self._get_file,
            RequestId.LOG: self._log,
            RequestId.GET_LOG: self._get_log,
            RequestId.GET_METRICS: self._get_metrics,
            RequestId.GET_GUEST_PROPERTY: self._get_guest_property,
            RequestId.VERIFY_TOKEN: self._verify_token,
            RequestId.GET_GUEST_PROPERTIES: self._get_guest_properties,
        }

    def answer(self, client: Client, request: bytes) -> bytes:
        """Do what a request asks for and return the response, which fits the client's buffer."""
        number = requests.request_number(request)
        began_ns, errno = perf_counter_ns(), 0
        try:
            answer = self._answer(client, number, requests.decode_request(request))
        except OperationError as refusal:
            errno = refusal.errno
        except Exception:
            # One request must not take the file system down with it.
            log.exception("a request failed in a way that should not happen", request=number)
            errno = EIO
        self.requests.note(_name_of(number), perf_counter_ns() - began_ns, errno)
        if errno:
            return requests.encode_refusal(number, errno)
        return requests.encode_response(number, answer)

    def _answer(self, client: Client, number: int, payload: bytes) -> bytes:
        if number not in self._handlers:
            raise OperationError(ECHRNG)
        answer = self._handlers[number](client, payload)
        if len(answer) > client.buffer_bytes - requests.RESPONSE_HEADER_BYTES:
            raise OperationError(EFBIG)
        return answer

    def _get_version(self, client: Client, payload: bytes) -> bytes:
        requests.check_empty(payload)
        return views.version_text(self._replica, self._status, self._process)

    def _get_members(self, client: Client, payload: bytes) -> bytes:
        requests.check_empty(payload)
        return views.members_text(self._status, is_quorate=self._replica.is_quorate)

    def _get_guests(self, client: Client, payload: bytes) -> bytes:
        requests.check_empty(payload)
        return views.vmlist_text(self._replica)

    def _get_metrics(self, client: Client, payload: bytes) -> bytes:
        requests.check_empty(payload)
        dump = self._status.metrics.dump(self._now_s())
        return dump.text + b"\0" if dump.is_new else dump.text

    def _set_status(self, client: Client, payload: bytes) -> bytes:
        self._check_may_write(client)
        self._driver.publish(*requests.decode_status(payload))
        return b""

    def _get_status(self, client: Client, payload: bytes) -> bytes:
        key, node = requests.decode_status_question(payload)
        table = self._status.values_of(node.decode(errors="replace"))
        value = table.values.get(key) if table is not None else None
        if value is None:
            raise OperationError(ENOENT)
        return value.data

    def _get_file(self, client: Client, payload: bytes) -> bytes:
        path = requests.decode_text(payload)
        if is_read_only(client, self._group_gid) and is_private(path):
            raise OperationError(EPERM)
        content = self._content(path)
        if content is None:
            raise OperationError(ENOENT)
        return content

    def _verify_token(self, client: Client, payload: bytes) -> bytes:
        token = requests.decode_token(payload)
        lines = (self._content(TOKENS) or b"").split(b"\n")
        if not sum(hmac.compare_digest(line, token) for line in lines):
            raise OperationError(ENOENT)
        return b""

    def _log(self, client: Client, payload: bytes) -> bytes:
        self._check_may_write(client)
        said = requests.decode_log(payload)
        if said.priority <= PRIORITY_MAX:
            self._driver.log(
                priority=said.priority,
                ident=said.ident,
                tag=said.tag,
                text=said.text,
                pid=client.pid,
            )
        return b""

    def _get_log(self, client: Client, payload: bytes) -> bytes:
        entries_max, user = requests.decode_log_question(payload)
        return views.clusterlog_text(self._status, entries_max or LOG_ENTRIES, user)

    def _get_guest_property(self, client: Client, payload: bytes) -> bytes:
        vmid, rest = requests.decode_vmid(payload)
        self._check_guest(vmid)
        name = requests.decode_text(rest)
        return properties_text(self._properties(vmid, [name]))

    def _get_guest_properties(self, client: Client, payload: bytes) -> bytes:
        vmid, rest = requests.decode_vmid(payload)
        self._check_guest(vmid)
        return properties_text(self._properties(vmid, requests.decode_names(rest)))

    def _properties(self, vmid: int, names: Sequence[bytes]) -> Iterator[tuple[int, Found]]:
        """Yield the properties of one guest, or of all guests that have a configuration.

        Raises:
            OperationError: EIO, the one guest's configuration is not there or empty.
        """
        guests = self._replica.memdb.guests
        for guest in guests if vmid == 0 else filter(None, [guests.get(vmid)]):
            config = self._content(_path(guest))
            if config:
                yield guest.vmid, properties_of(config, names)
            elif vmid != 0:
                raise OperationError(EIO)

    def _check_guest(self, vmid: int) -> None:
        """Accept 0 and guests that exist.

        Raises:
            OperationError: EINVAL for a number that is no guest's, ENOENT.
        """
        if 0 < vmid < VMID_MIN:
            raise OperationError(EINVAL)
        if vmid and self._replica.memdb.guests.get(vmid) is None:
            raise OperationError(ENOENT)

    def _check_may_write(self, client: Client) -> None:
        if is_read_only(client, self._group_gid):
            raise OperationError(EPERM)

    def _content(self, path: bytes) -> bytes | None:
        """Return what is in a file; None if there is none at this path."""
        entry = self._replica.memdb.tree.find(path)
        if entry is None or entry.is_directory:
            return None
        return self._content_of(entry)


def lasts(request: bytes) -> bool:
    """Whether a request is answered alike, whoever asks, until something changes in this node.

    A private file is none of these: nobody shall have it in memory who need not.
    """
    number = requests.request_number(request)
    if number not in _LASTING or len(request) > LASTING_BYTES_MAX:
        return False
    path = requests.c_string(request[requests.HEADER_BYTES : -1])  # as decode_text reads it
    return number != RequestId.GET_FILE or not is_private(path)


def _path(guest: Guest) -> bytes:
    directory = DIRECTORY_OF_KIND[guest.kind]
    return b"/".join((NODES_DIRECTORY, guest.node.encode(), directory, b"%d.conf" % guest.vmid))


def by_name(counts: Mapping[int, int]) -> dict[str, int]:
    """Return counts of requests by their names."""
    return {_name_of(number): count for number, count in counts.items()}


def _name_of(number: int) -> str:
    """Return the name of a request; what is not known has one for all."""
    return _NAMES.get(number, "unknown")

"""The hourly proof that all members have the same state.

The lowest node sends a request with a number. Every member takes its checksum at that point of the
total order; the sender of the request then sends its own for the others to compare.

Source: docs/PROTOCOL.md, "Synchronisation".
"""

from pmxcfs.dfsm import wire
from pmxcfs.dfsm.core import Core
from pmxcfs.dfsm.wire import Epoch, MessageType, StateHeader
from pmxcfs.errors import ProtocolError
from pmxcfs.identity import Member


class Verification:
    """The numbers of requests, and the checksum taken at the last of them.

    Requests are numbered for the life of the process, also across rejoins.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._request_count = 0
        self._last_id = 0
        self._epoch: Epoch | None = None
        self._checksum = b""

    def request(self, now_s: int) -> None:
        """Send the next request, unless the last one is still to come back."""
        if self._request_count != self._last_id:
            self._core.log.warning("verification delayed: the last request has not come back")
            return
        self._request_count += 1
        payload = wire.encode_verify_request(self._request_count)
        self._core.multicast(MessageType.VERIFY_REQUEST, payload, now_s)

    def forget(self) -> None:
        """Expect no request to come back; no checksum taken so far is good for comparing."""
        self._last_id = self._request_count
        self._epoch = None

    def take_checksum(
        self, sender: Member, header: StateHeader, payload: bytes, now_s: int
    ) -> None:
        """Take our checksum at a request, and tell it if the request is ours.

        Raises:
            ProtocolError: the request is malformed.
        """
        request_id = wire.decode_verify_request(payload)
        checksum = self._core.application.checksum()
        if checksum is None:
            return
        self._last_id, self._epoch, self._checksum = request_id, header.epoch, checksum
        if sender == self._core.me:
            answer = wire.encode_verify(request_id, checksum)
            self._core.multicast(MessageType.VERIFY, answer, now_s)

    def compare_checksum(
        self, sender: Member, header: StateHeader, payload: bytes, now_s: int
    ) -> None:
        """Compare with the checksum of whoever sent the request.

        Raises:
            ProtocolError: ours is another, or the message is malformed.
        """
        request_id, checksum = wire.decode_verify(payload)
        if (request_id, header.epoch) != (self._last_id, self._epoch):
            self._core.log.info("skipped an outdated verification", request_id=request_id)
        elif checksum != self._checksum:
            raise ProtocolError(f"our checksum is not that of {sender}")
        else:
            self._core.log.info("verified: all is equal", request_id=request_id)

"""Answers that the porter gives again by itself, for as long as nothing can have changed."""

from pmxcfs.ipc.freshness import Page

ANSWERS_MAX = 256
ANSWERS_BYTES_MAX = 8 * 1024 * 1024


class Answers:
    """What the daemon has answered in its present state, by the bytes of the request.

    Args:
        page: tells which state that is.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._state = 0
        self._answers: dict[bytes, bytes] = {}
        self._size_bytes = 0

    def find(self, request: bytes, size_bytes_max: int) -> bytes | None:
        """Return the answer to a request, if it is known, still true, and no longer than that."""
        if self._page.state != self._state:
            return None
        answer = self._answers.get(request)
        if answer is None or len(answer) > size_bytes_max:
            return None
        self._page.count(request[0])
        return answer

    def remember(self, request: bytes, answer: bytes, state: int) -> None:
        """Keep an answer that was true in this state, and forget those of other states."""
        if state != self._state:
            self._state, self._size_bytes = state, 0
            self._answers.clear()
        size_bytes = len(request) + len(answer)
        has_room = self._size_bytes + size_bytes <= ANSWERS_BYTES_MAX
        if has_room and len(self._answers) < ANSWERS_MAX:
            self._answers[request] = answer
            self._size_bytes += size_bytes

"""Since when this node has changes that no other node is known to have.

What is applied while we are with other members is shared: they get the same messages. It is not
while we are alone, or in a part of the cluster that is no majority but may write all the same. And
when members are cut off from us, our last own messages may not have reached them any more, nor what
they were about to take over from us.
"""

from collections import deque

DOUBT_S = 10
"""An own change that is older than this when members go has reached them; a ring notices sooner."""


class Sharing:
    """Notes every change that is applied, and every change of the membership.

    Attributes:
        unshared_since: the version of the first change that no other node may have; None if there
            is none.
    """

    def __init__(self, unshared_since: int | None = None) -> None:
        self.unshared_since = unshared_since
        self._agreed: tuple[int, int] | None = None  # when, and since which version it was unshared
        self._own: deque[tuple[int, int]] = deque()  # (when, version), with nothing foreign after

    def note_applied(self, version: int, now_s: int, *, is_own: bool, is_shared: bool) -> None:
        """Note a change that brought the tree to ``version``.

        Args:
            version: of the tree, after the change.
            now_s: our clock.
            is_own: whether we sent the message.
            is_shared: whether the members that apply it with us are a majority of the cluster.
        """
        if not is_shared:
            self._begin(version)
        if not is_own:
            self._own.clear()  # its sender had ours before
            return
        self._own.append((now_s, version))
        while now_s - self._own[0][0] > DOUBT_S:
            self._own.popleft()

    def note_parting(self, now_s: int) -> None:
        """Note that members have gone, or that the group is lost to us."""
        if self._agreed is not None and now_s - self._agreed[0] <= DOUBT_S:
            self._begin(self._agreed[1])
        self._agreed = None
        for when_s, version in self._own:
            if now_s - when_s <= DOUBT_S:
                self._begin(version)
        self._own.clear()

    def note_agreement(self, now_s: int) -> None:
        """Note that the members, a majority, have the same tree as we, or are about to have it."""
        before = self._agreed[1] if self._agreed is not None else None
        since = before if self.unshared_since is None else self.unshared_since
        if since is not None:
            self._agreed = (now_s, since)
        self.unshared_since = None

    def _begin(self, version: int) -> None:
        if self.unshared_since is None:
            self.unshared_since = version

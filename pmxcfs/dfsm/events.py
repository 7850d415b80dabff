"""What a closed process group tells its member, as values."""

from pmxcfs.identity import Member
from pmxcfs.values import value


@value(frozen=True, slots=True)
class Connected:
    """We are about to join the group as ``me``; nothing sent earlier will come back."""

    me: Member


@value(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, or we left: no more messages until we join again."""


@value(frozen=True, slots=True)
class ConfigurationChange:
    """The group has these members from here on in the total order."""

    members: tuple[Member, ...]
    left: tuple[Member, ...] = ()
    joined: tuple[Member, ...] = ()


@value(frozen=True, slots=True)
class Delivered:
    """A message, at its place in the total order. Own messages are delivered too."""

    sender: Member
    data: bytes


@value(frozen=True, slots=True)
class SendFailed:
    """A message that we gave to the group was not sent and will not be delivered."""

    data: bytes


GroupEvent = Connected | Disconnected | ConfigurationChange | Delivered | SendFailed

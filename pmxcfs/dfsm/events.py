"""What a closed process group tells its member, as values."""

from pmxcfs.identity import Member
from pmxcfs.values import value


@value
class Connected:
    """We are about to join the group as ``me``; nothing sent earlier will come back."""

    me: Member


@value
class Disconnected:
    """The connection is gone, or we left: no more messages until we join again."""


@value
class ConfigurationChange:
    """The group has these members from here on in the total order."""

    members: tuple[Member, ...]
    left: tuple[Member, ...] = ()
    joined: tuple[Member, ...] = ()


@value
class Delivered:
    """A message, at its place in the total order. Own messages are delivered too."""

    sender: Member
    data: bytes


@value
class SendFailed:
    """A message that we gave to the group was not sent and will not be delivered."""

    data: bytes


GroupEvent = Connected | Disconnected | ConfigurationChange | Delivered | SendFailed

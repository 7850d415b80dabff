"""How long one of those who share the event loop keeps it before the others get their turn.

What one of them has to do at once has no bound: a flood of messages of other nodes, programs that
read without a pause. So each of them ends its turn by the clock, not by a count: on a busy machine
the same work takes twenty times as long.
"""

TURN_S = 0.01
"""After so long nothing more is begun; what is under way then is finished."""

"""What is done now and then is done together: an idle daemon wakes as seldom as it can."""

import trio


async def beat(period_s: float) -> None:
    """Sleep until the next multiple of a period, by a clock that all of us share."""
    beats_so_far = trio.current_time() // period_s
    await trio.sleep_until((beats_so_far + 1) * period_s)

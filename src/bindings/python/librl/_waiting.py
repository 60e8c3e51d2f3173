"""How a call waits for its turn: once for all, whoever sleeps."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Optional

from librl._librl import Turn

if TYPE_CHECKING:
    from librl import Segment

# A clock that is moved by hand may be moved at any time; another one keeps what it promised.
MANUAL_STEP_S = 0.001
# What a segment's clock may lag behind the kernel's before the wait is over all the same.
GRACE_S = 1.0


def sleeps(turn: Turn, timeout: Optional[float]) -> Iterator[float]:
    """Yields how long to sleep, again and again, until `turn.decision` is the last word.

    Nothing is given back here: that is for the turn's with block."""
    segment = turn.limiter.segment
    left = float("inf") if timeout is None else timeout
    while True:
        began = segment.now_ns()
        told = turn.reserve(left)
        if told:
            came = yield from _until(segment, told.at_ns, told.wait)
            if not came and segment.is_manual:
                # Nobody has moved the clock: then the call passes now, or not at all.
                turn.reserve(0)
            return
        # A window has no line to stand in, and a list of limits neither: whoever is first when
        # there is room again passes. A bucket was denied for good.
        wait = told.retry_after
        is_limit = told.reason in ("limited", "override") and wait != float("inf")
        if not is_limit or not 0 < wait <= left:
            return
        yield from _until(segment, began + told.retry_after_ns, wait)
        # Whatever the clock says, each wait takes something of what is left: there is a last one.
        left -= min(left, max(wait, (segment.now_ns() - began) / 1e9))


def _until(segment: Segment, at_ns: int, wait: float) -> Generator[float, None, bool]:
    """Yields sleeps until an instant of the segment's clock. Returns whether that has come."""
    if not wait:
        return True
    step = MANUAL_STEP_S if segment.is_manual else float("inf")
    last = segment.now_ns()
    over = time.monotonic() + wait + GRACE_S
    while (left_ns := at_ns - (now := segment.now_ns())) > 0:
        if now != last and segment.is_manual:
            last, over = now, time.monotonic() + wait + GRACE_S
        if time.monotonic() >= over:
            return False
        yield min(left_ns / 1e9, step)
    return True

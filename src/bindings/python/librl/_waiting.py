"""How a call waits for its turn: once for all, whoever sleeps."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from librl import Decision, Key, Limiter

# A clock that is moved by hand may be moved at any time; another one keeps what it promised.
MANUAL_STEP_S = 0.001
# What a segment's clock may lag behind the kernel's before the wait is over all the same.
GRACE_S = 1.0


def turns(
    limiter: Limiter, key: Key, cost: int, timeout: Optional[float]
) -> Generator[float, None, Decision]:
    """Yields how long to sleep, again and again, and returns the decision.

    Who closes it, or throws into it, gives back what was reserved."""
    left = float("inf") if timeout is None else timeout
    while True:
        began = limiter.segment.now_ns()
        told = _ask(limiter, key, cost, left)
        if told:
            came = yield from _until(limiter, key, told)
            # Nobody has moved the clock: then the call passes now, or not at all.
            return told if came else _ask(limiter, key, cost, 0)
        # A window has no line to stand in, and a list of limits neither: whoever is first when
        # there is room again passes. A bucket was denied for good.
        wait = told.retry_after
        is_limit = told.reason in ("limited", "override") and wait != float("inf")
        if not is_limit or not 0 < wait <= left:
            return told
        yield from _sleeps(limiter, began + told.retry_after_ns, wait)
        # Whatever the clock says, each wait takes something of what is left: there is a last one.
        left -= min(left, max(wait, (limiter.segment.now_ns() - began) / 1e9))


def _ask(limiter: Limiter, key: Key, cost: int, left: float) -> Decision:
    if len(limiter) == 1:
        return limiter.reserve(key, cost, left)
    return limiter.try_acquire(key, cost)


def _until(
    limiter: Limiter, key: Key, told: Decision
) -> Generator[float, None, bool]:
    """Waits for the instant reserved. Returns False, with it given back, if it does not come."""
    if told.wait_ns == 0:
        return True
    try:
        came = yield from _sleeps(limiter, told.at_ns, told.wait)
    except BaseException:
        limiter.refund(key, told)
        raise
    if came or not limiter.segment.is_manual:
        return True
    limiter.refund(key, told)
    return False


def _sleeps(
    limiter: Limiter, at_ns: int, wait: float
) -> Generator[float, None, bool]:
    """Yields sleeps until an instant of the segment's clock. Returns whether that has come."""
    segment = limiter.segment
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

"""Waiting in an event loop: all other calls of a Limiter are as fast in a coroutine as anywhere."""

from __future__ import annotations

import asyncio
from typing import Optional

from librl import Decision, Key, Limiter, _librl, _waiting


async def acquire(
    limiter: Limiter, key: Key, cost: int = 1, timeout: Optional[float] = None
) -> Decision:
    """Limiter.acquire() for a coroutine: others run while it waits for its turn.

    What was reserved is given back when the task is cancelled.
    """
    with _librl.Turn(limiter, key, cost) as turn:
        for seconds in _waiting.sleeps(turn, timeout):
            await asyncio.sleep(seconds)
        return turn.decision

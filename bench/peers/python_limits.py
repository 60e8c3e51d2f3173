#!/usr/bin/env python3
"""Asks limits as it is told: each line has a number of steps, and one of keys.

usage: python_limits.py WHOSE     librl://NAME, librl itself in that segment; or a storage of the
                                  library limits: memory://, redis+unix://PATH, shm://NAME, which is
                                  librl's
"""

import functools
import random
import sys

MOST = 1_000_000_000


def limit_of_librl(name):
    import librl

    return librl.Segment(name).limiter("api", f"{MOST}/d").try_acquire


def limit_of_limits(uri):
    from limits import RateLimitItemPerDay
    from limits.storage import storage_from_string
    from limits.strategies import FixedWindowRateLimiter

    if uri.startswith("shm:"):
        import librl.limits  # noqa: F401 (has the storage)
    storage = storage_from_string(uri)
    limiter = FixedWindowRateLimiter(storage)
    limiter.kept = storage  # the limiter itself does not keep it
    return functools.partial(limiter.hit, RateLimitItemPerDay(MOST))


whose = sys.argv[1]
try:
    if whose.startswith("librl://"):
        ask = limit_of_librl(whose.removeprefix("librl://"))
    else:
        ask = limit_of_limits(whose)
except Exception as reason:  # of any kind: it is the reason why this is skipped
    sys.exit(f"Python has not all that it takes here: {reason}")

while line := sys.stdin.readline():
    steps, keys = map(int, line.split())
    for _ in range(steps):
        key = "user:000000" if keys == 1 else f"user:{random.randrange(keys):06x}"
        if not ask(key):
            sys.exit(f"{key} is denied")
    print(flush=True)

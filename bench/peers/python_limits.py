#!/usr/bin/env python3
"""Asks the library limits as it is told: each line has a number of steps, and one of keys.

usage: python_limits.py STORAGE      (memory://, or redis+unix://PATH)
"""

import random
import sys

try:
    from limits import RateLimitItemPerDay
    from limits.storage import storage_from_string
    from limits.strategies import FixedWindowRateLimiter
    storage = storage_from_string(sys.argv[1])  # the limiter itself does not keep it
    limiter = FixedWindowRateLimiter(storage)
except Exception as reason:  # of any kind: it is the reason why this is skipped
    sys.exit(f"Python has no limits here (Debian: python3-limits, python3-redis): {reason}")

item = RateLimitItemPerDay(1_000_000_000)
while line := sys.stdin.readline():
    steps, keys = map(int, line.split())
    for _ in range(steps):
        key = "user:000000" if keys == 1 else f"user:{random.randrange(keys):06x}"
        if not limiter.hit(item, key):
            sys.exit(f"{key} is denied")
    print(flush=True)

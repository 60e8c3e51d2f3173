"""A storage for the package `limits`, and so for flask-limiter and slowapi: shm://NAME.

    import librl.limits

    limiter = flask_limiter.Limiter(get_remote_address, app=app, storage_uri="shm://web")

Counts are in shared memory: all processes of the host have one limit, without a server. An
increment is one step that nothing can come between. Of async+shm://NAME the calls are coroutines.

fixed-window, fixed-window-elastic-expiry: as `limits` defines them; an expiry, of which a key has
one, is rounded up by at most 4.2 ms, and a count ends at 67,108,863.

moving-window: by librl's sliding window, which keeps two counts instead of a log of all hits. It
takes the hits of the window before for evenly spread. Where they came late it admits more than the
log would, at most 2 x limit - 1 in one window's time; where they came early it denies what the log
would admit, for at most one window longer. Windows are those of the clock, and none of these ever
has more than its limit. A limit is at most the square root of the window in nanoseconds, less 1:
31,621 in a second, 244,947 in a minute; more raises BadLimitError. The reset time is when nothing
of what was used counts any more, which is up to one window after that of the log.
"""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote, urlsplit

import limits.aio.storage
from limits.errors import ConfigurationError
from limits.storage import MovingWindowSupport, Storage

import librl

COUNTERS = "limits"
MOVING = "limits-moving"


def _mode(value: Any) -> int:
    return int(value, 8) if isinstance(value, str) else int(value)


def _flag(value: Any) -> bool:
    return str(value).lower() not in ("0", "no", "false", "off")


# What a URI or a framework's storage_options may say; in a URI it is text.
_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "any_owner": _flag,
    "clock": str,
    "group": str,
    "keys": int,
    "labels": _flag,
    "mode": _mode,
    "on_failure": str,
    "owner": str,
    "policies": int,
    "share": int,
}


def _read(uri: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the name of a segment and the options that come with it."""
    parts = urlsplit(uri)
    name = unquote(parts.netloc or parts.path)
    if not name or (parts.netloc and parts.path.strip("/")):
        raise ConfigurationError(f"{uri}: want shm://NAME, or shm:///PATH of the segment's file")
    wanted = {**dict(parse_qsl(parts.query)), **arguments}
    if unknown := wanted.keys() - _OPTIONS.keys():
        names, known = ", ".join(sorted(unknown)), ", ".join(_OPTIONS)
        raise ConfigurationError(f"{uri}: no option {names}; there are {known}")
    try:
        return name, {option: _OPTIONS[option](value) for option, value in wanted.items()}
    except ValueError as reason:
        raise ConfigurationError(f"{uri}: {reason}") from None


# The end of a key that `limits` makes of a limit: AMOUNT/MULTIPLES/UNIT.
_LIMIT_IN_KEY = re.compile(r"/(\d+)/(\d+)/(\w+)$")


def _window_in(key: str) -> Optional[tuple[int, int]]:
    """Returns the limit and the expiry that a key is made of."""
    found = _LIMIT_IN_KEY.search(key)
    unit = limits.limits.TIME_TYPES.get(found[3]) if found else None
    return (int(found[1]), int(found[2]) * unit.seconds) if found and unit else None


class _Counts:
    """The counters of a segment, and its moving windows."""

    def __init__(self, uri: str, arguments: dict[str, Any]) -> None:
        name, options = _read(uri, arguments)
        self.segment = librl.Segment(name, **options)
        self.on_failure = options.get("on_failure", "raise")
        self.share = options.get("share", 1)
        self.counters = self.segment.limiter(COUNTERS, "counter")
        self.moving: dict[tuple[int, int], librl.Limiter] = {}

    def count(self, key: str, amount: int, expiry: float, elastic: bool) -> tuple[int, float]:
        """Returns what a key counts after that, and the seconds until this is over."""
        told = self.counters.count(key, amount, expiry, elastic)
        if told.counted:
            # Alone, this process stands for as many as there are.
            factor = self.share if self.segment.is_without_segment else 1
            return told.count * factor, told.expires_in
        if told.reason == "off" or self.on_failure == "allow":
            return amount, 0.0
        if self.on_failure == "raise":
            raise librl.NoSpaceError(f"{self.segment.path}: the table has no room for {key!r}")
        return sys.maxsize, 0.0

    def window(self, limit: int, expiry: int) -> librl.Limiter:
        """Returns the limiter of all keys of so many in so many seconds."""
        limiter = self.moving.get((limit, expiry))
        if limiter is None:
            limiter = self._open_window((limit, expiry), f"sliding {limit}/{expiry}s")
        return limiter

    def clear(self, key: str) -> None:
        self.counters.reset(key)
        # Another process may have made the window of this key.
        if (of_key := _window_in(key)) and of_key not in self.moving:
            with contextlib.suppress(librl.UnknownPolicyError):
                self._open_window(of_key, None)
        for limiter in list(self.moving.values()):
            limiter.reset(key)

    def _open_window(self, window: tuple[int, int], limits_text: Optional[str]) -> librl.Limiter:
        policy = f"{MOVING}-{window[0]}-{window[1]}"
        limiter = self.moving[window] = self.segment.limiter(policy, limits_text)
        return limiter


class ShmStorage(Storage, MovingWindowSupport):
    """Counts in the segment of a URI: shm://NAME, or shm:///PATH.

    Options, as librl.Segment has them, in the URI (shm://web?keys=100000&on_failure=local) or as
    arguments, such as flask-limiter's storage_options: any_owner, group, keys, labels, mode (octal
    if text), on_failure, owner, policies, share. Where a key cannot be counted, for want of a
    segment or of room in its table, on_failure says what happens: "raise" (the start, too),
    "allow", "deny", or "local", where each process counts alone what it sees, times `share`.

    Raises librl.Error, and ConfigurationError for a URI that it does not understand.
    """

    STORAGE_SCHEME = ["shm"]
    # Later versions of `limits` ask which exceptions are the storage's own.
    base_exceptions = librl.Error

    def __init__(self, uri: Optional[str] = None, **options: Any) -> None:
        self._counts = _Counts(uri or "", options)
        super().__init__(uri)

    def incr(self, key: str, expiry: int, elastic_expiry: bool = False, amount: int = 1) -> int:
        """Counts `amount` more; returns what the key counts then."""
        return self._counts.count(key, amount, expiry, elastic_expiry)[0]

    def get(self, key: str) -> int:
        """Returns what the key counts."""
        return self._counts.count(key, 0, 0, False)[0]

    def get_expiry(self, key: str) -> int:
        """Returns when the key's count is over, in Unix seconds; now when there is none."""
        return int(time.time() + self._counts.count(key, 0, 0, False)[1])

    def check(self) -> bool:
        """Returns whether the segment is there."""
        return not self._counts.segment.is_without_segment

    def reset(self) -> Optional[int]:
        """Forgets what all keys of the segment have used, whoever asked; returns how many had."""
        return self._counts.segment.reset_all()

    def clear(self, key: str) -> None:
        """Forgets what the key has used."""
        self._counts.clear(key)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Counts `amount` in the moving window if the limit allows it."""
        # What costs nothing passes, as with the other storages.
        return amount == 0 or bool(self._counts.window(limit, expiry).try_acquire(key, amount))

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[int, int]:
        """Returns where the window begins, in Unix seconds, and how much counts in it.

        It ends, one expiry later, when nothing of that counts any more."""
        told = self._counts.window(limit, expiry).peek(key)
        used = told.limit - told.remaining if told else limit
        end = time.time() + (told.reset_after if used else expiry)
        return int(end - expiry), used


class AsyncShmStorage(limits.aio.storage.Storage, limits.aio.storage.MovingWindowSupport):
    """ShmStorage for limits.aio. Nothing here waits, so an event loop is not held up."""

    STORAGE_SCHEME = ["async+shm"]
    base_exceptions = librl.Error

    def __init__(self, uri: Optional[str] = None, **options: Any) -> None:
        self._storage = ShmStorage((uri or "").removeprefix("async+"), **options)
        super().__init__(uri)

    async def incr(
        self, key: str, expiry: int, elastic_expiry: bool = False, amount: int = 1
    ) -> int:
        return self._storage.incr(key, expiry, elastic_expiry, amount)

    async def get(self, key: str) -> int:
        return self._storage.get(key)

    async def get_expiry(self, key: str) -> int:
        return self._storage.get_expiry(key)

    async def check(self) -> bool:
        return self._storage.check()

    async def reset(self) -> Optional[int]:
        return self._storage.reset()

    async def clear(self, key: str) -> None:
        self._storage.clear(key)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        return self._storage.acquire_entry(key, limit, expiry, amount)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[int, int]:
        return self._storage.get_moving_window(key, limit, expiry)

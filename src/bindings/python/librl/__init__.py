"""Rate limits that all processes of a host share, without a server.

    import librl

    api = librl.Segment("web").limiter("api", "100/s burst=200")
    if not (decision := api.try_acquire("user:42")):
        reply_429(decision.retry_after)

Keys are str, which count as their UTF-8, or bytes. Durations are seconds, also fractions; a
Decision has them in nanoseconds, too. What the library has to say while it works goes to the logger
"librl".

Threads and processes: a Segment and a Limiter may be used by any number of threads, and in a forked
child as before; so open them before the fork or in every worker. A Permit is its process's alone.
"""

from __future__ import annotations

import os
import time
from typing import Literal, Optional, Union

try:
    from librl import _librl
except ImportError as reason:
    raise ImportError(
        f"librl for Python cannot load the library ({reason}): install librl.so where the dynamic "
        "linker looks (and run ldconfig), or have LD_LIBRARY_PATH name the folder that it is in"
    ) from reason

from librl import _waiting
from librl._errors import (
    BadLimitError,
    BadNameError,
    BadOptionError,
    CorruptError,
    Denied,
    Error,
    ExistsError,
    InvalidError,
    NoSpaceError,
    NotASegmentError,
    NotFoundError,
    NotPermittedError,
    ReadOnlyError,
    SystemCallError,
    TooManyError,
    UnexpectedError,
    UnknownPolicyError,
    UnsupportedError,
    WrongHostError,
    WrongVersionError,
)
from librl._librl import (
    NEVER_NS,
    Count,
    Decision,
    Permit,
    __version__,
    address_key,
    check_limits,
    composite_key,
    remove,
    sockaddr_key,
    try_acquire_all,
)

Key = Union[str, bytes]


class Segment(_librl.Segment):
    """The shared memory that holds the limits of one service: opened, or made if there is none.

    `name` such as "web" is /dev/shm/rl.web; an absolute path is taken as it is. The segment stays
    until `librl.remove(name)`; one that is there stands as it is, whatever the options say.

    keys        room for so many that owe something at the same time (65,536)
    mode        permissions of the file (0o600); owner, group: by name
    labels      keep the text of keys, so that rlctl can show it (True)
    policies    room for so many (1,024)
    clock       "auto", or "manual", which advance_clock() moves, for tests
    any_owner   accept a segment whose owner is neither this user nor root
    on_failure  what is done where the segment is not to be had: "raise", or until it is there
                "allow" all calls, "deny" all, or "local": this process keeps the limits alone,
                divided by `share`, the number of processes
    how         "open_or_create", "open", "create", "read_only", or "private", which nobody shares

    Raises a subclass of Error. A handle goes with the last of it and of its limiters.
    """

    __slots__ = ()

    @classmethod
    def open(cls, name: Union[str, os.PathLike[str]], *, any_owner: bool = False) -> Segment:
        """Attaches to a segment that is there; raises NotFoundError."""
        return cls(name, how="open", any_owner=any_owner)

    @classmethod
    def open_read_only(cls, name: Union[str, os.PathLike[str]]) -> Segment:
        """Attaches for peek() and the like; needs no more than read permission."""
        return cls(name, how="read_only")

    @classmethod
    def private(
        cls, *, clock: Literal["auto", "manual"] = "auto", keys: int = 65_536
    ) -> Segment:
        """Makes a segment of this process alone, without a name, for tests."""
        return cls("private", how="private", clock=clock, keys=keys)

    def limiter(self, policy: str, limits: Optional[str] = None) -> Limiter:
        """Returns the limiter of a policy, which is made if the segment has none of that name.

        `limits` is such as "100/s burst=200", or a list "100/s, 1000/h" of which all must allow.
        When the segment has the policy with another limit, that stands: see Limiter.differs. With
        None the policy must exist: raises UnknownPolicyError.
        """
        return Limiter(self, policy, limits)


class Limiter(_librl.Limiter):
    """A policy of a segment, ready to be asked; of a list of limits `limiter[i]` is one alone."""

    __slots__ = ()

    def acquire(self, key: Key, cost: int = 1, timeout: Optional[float] = None) -> Decision:
        """Acquires `cost`, and waits up to `timeout` seconds (None: for ever) for its turn.

        Denied at once when the turn would not come in time, and when it never can. Who waits for a
        bucket stands in line, first come, first served, across all processes; a window, and a list
        of limits, have no line. The GIL is released while it sleeps. An exception from a signal
        handler, such as KeyboardInterrupt, gives back what was reserved.
        """
        with _librl.Turn(self, key, cost) as turn:
            for seconds in _waiting.sleeps(turn, timeout):
                time.sleep(seconds)
            return turn.decision


__all__ = [
    "NEVER_NS",
    "BadLimitError",
    "BadNameError",
    "BadOptionError",
    "CorruptError",
    "Count",
    "Decision",
    "Denied",
    "Error",
    "ExistsError",
    "InvalidError",
    "Key",
    "Limiter",
    "NoSpaceError",
    "NotASegmentError",
    "NotFoundError",
    "NotPermittedError",
    "Permit",
    "ReadOnlyError",
    "Segment",
    "SystemCallError",
    "TooManyError",
    "UnexpectedError",
    "UnknownPolicyError",
    "UnsupportedError",
    "WrongHostError",
    "WrongVersionError",
    "__version__",
    "address_key",
    "check_limits",
    "composite_key",
    "remove",
    "sockaddr_key",
    "try_acquire_all",
]

"""What the middlewares share, whatever the interface."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, Optional, TypeVar

from librl import Key, Limiter, address_key

App = TypeVar("App")
Request = TypeVar("Request")

NO_ADDRESS = "no address"
BODY = b"429 Too Many Requests\n"

_log = logging.getLogger("librl")


class AddressKeys:
    """Makes the key of a client of its address, of IPv6 its /64 network.

    A client without an address, such as one on a Unix socket, has the key "no address", which all
    of these share; that is said once. Behind a proxy have the server or a middleware put the
    client's own address in its place, by the header of a proxy that you trust."""

    def __init__(self, ipv4_prefix: int = 32, ipv6_prefix: int = 64) -> None:
        self._prefixes = (ipv4_prefix, ipv6_prefix)
        self._has_said = False

    def of(self, address: str) -> Key:
        """Returns the key of an address."""
        try:
            return address_key(address, *self._prefixes)
        except ValueError as reason:
            if not self._has_said:
                self._has_said = True
                _log.warning("%s: clients without one share the key '%s'", reason, NO_ADDRESS)
            return NO_ADDRESS


class Middleware(Generic[App, Request]):
    """Keeps an application, and what to ask before each of its requests."""

    def __init__(
        self,
        app: App,
        limiter: Limiter,
        *,
        key: Optional[Callable[[Request], Optional[Key]]] = None,
        cost: int = 1,
    ) -> None:
        self.app = app
        self.limiter = limiter
        self.key = key or self.default_key()
        self.cost = cost

    @staticmethod
    def default_key() -> Callable[[Request], Optional[Key]]:
        """Returns what makes keys where the caller does not say it."""
        raise NotImplementedError

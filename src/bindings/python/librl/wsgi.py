"""Limits for a WSGI application, whatever its framework and server.

    app = librl.wsgi.RateLimit(app, librl.Segment("web").limiter("api", "100/s burst=200"))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Optional

from librl import Key
from librl._librl import Turn
from librl._middleware import BODY, AddressKeys, Middleware

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class ClientAddress(AddressKeys):
    __doc__ = AddressKeys.__doc__

    def __call__(self, environ: WSGIEnvironment) -> Optional[Key]:
        return self.of(environ.get("REMOTE_ADDR") or "")


class RateLimit(Middleware["WSGIApplication", "WSGIEnvironment"]):
    """Asks a limiter before each request, and answers what it denies with 429 and Retry-After.

    key   returns the key of a request, or None for one that is not limited: ClientAddress(), if not
          given
    cost  what a request costs

    Every answer has the RateLimit fields of the limit. A call that a leaky bucket admits to go
    ahead later waits here, and gives its turn back when an exception ends the wait."""

    @staticmethod
    def default_key() -> Callable[[WSGIEnvironment], Optional[Key]]:
        return ClientAddress()

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        key = self.key(environ)
        if key is None:
            return self.app(environ, start_response)
        # Whoever ends this request while it waits, as a server does that goes down, frees its place.
        with Turn(self.limiter, key, self.cost) as turn:
            decision = turn.try_acquire()
            fields = self.limiter.headers(decision)
            if decision.wait_ns:
                time.sleep(decision.wait)
        if not decision:
            length = ("Content-Length", str(len(BODY)))
            start_response(
                "429 Too Many Requests", [("Content-Type", "text/plain"), length, *fields]
            )
            return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else BODY]

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, *fields], *exc_info)

        return self.app(environ, start)

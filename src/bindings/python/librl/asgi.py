"""Limits for an ASGI application: FastAPI, Starlette, Django, or one of your own.

    app.add_middleware(librl.asgi.RateLimit, limiter=librl.Segment("web").limiter("api", "100/s"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Optional

from librl import Key
from librl._librl import Turn
from librl._middleware import BODY, AddressKeys, Middleware

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TRY_AGAIN_LATER = 1013  # the code of a WebSocket's close (RFC 6455, registered)


class ClientAddress(AddressKeys):
    __doc__ = AddressKeys.__doc__

    def __call__(self, scope: Scope) -> Optional[Key]:
        client = scope.get("client")
        return self.of(client[0] if client else "")


class RateLimit(Middleware[App, Scope]):
    """Asks a limiter before each request and each WebSocket; a denied request is answered with 429
    and Retry-After, a denied WebSocket closed before it is accepted.

    key   returns the key of a scope, or None for one that is not limited: ClientAddress(), if not
          given
    cost  what a request costs

    Every answer has the RateLimit fields of the limit. A call that a leaky bucket admits to go
    ahead later waits here, and others run meanwhile; it gives its turn back when it is cancelled."""

    @staticmethod
    def default_key() -> Callable[[Scope], Optional[Key]]:
        return ClientAddress()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_limited = scope["type"] in ("http", "websocket")
        key = self.key(scope) if is_limited else None
        if key is None:
            await self.app(scope, receive, send)
            return
        # A task that is cancelled while it waits, as its client has gone, frees its place.
        with Turn(self.limiter, key, self.cost) as turn:
            decision = turn.try_acquire()
            fields = [
                (name.lower().encode("ascii"), value.encode("ascii"))
                for name, value in self.limiter.headers(decision)
            ]
            if decision.wait_ns:
                await asyncio.sleep(decision.wait)
        if not decision:
            await _deny(scope, send, fields)
            return

        async def send_with_fields(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *fields]
            await send(message)

        await self.app(scope, receive, send_with_fields)


async def _deny(scope: Scope, send: Send, fields: list[tuple[bytes, bytes]]) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        return
    length = (b"content-length", str(len(BODY)).encode("ascii"))
    headers = [(b"content-type", b"text/plain"), length, *fields]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    body = b"" if scope.get("method") == "HEAD" else BODY
    await send({"type": "http.response.body", "body": body})

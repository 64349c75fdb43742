"""Answers HEAD wherever GET is answered, as HTTP requires."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Handles HEAD as GET; the HTTP server omits the body of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        inner = {**scope, "method": "GET"}

        async def send_with_route(message: Message) -> None:
            scope["route"] = inner.get("route")  # for the log and the metrics, outside of this
            await send(message)

        await self.app(inner, receive, send_with_route)

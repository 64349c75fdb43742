"""Answers HEAD wherever GET is answered, as HTTP requires."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Handles HEAD as GET; the HTTP server omits the body of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)

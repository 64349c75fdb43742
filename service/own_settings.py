"""The service's settings, for handlers: those that its app was made with."""

from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from service.settings import Settings


def own_settings(request: Request) -> Settings:
    """The settings of the app that the request is for."""
    return cast("Settings", request.app.state.duly.settings)


async def _own_settings(request: Request) -> Settings:
    return own_settings(request)


OwnSettings = Annotated[Settings, Depends(_own_settings)]
"""The settings, as a parameter of handlers."""

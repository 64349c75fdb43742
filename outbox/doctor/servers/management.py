"""Asks RabbitMQ's management API, over HTTP."""

import json
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

SECONDS = 3.0


class NoAnswer(Exception):
    """It cannot be reached, or answered something else than 200; the text says which."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """None if there was no answer."""


class Management:
    """One management API, and the virtual host whose queues are looked at."""

    def __init__(self, url: str, vhost: str) -> None:
        self._where = urlsplit(url)
        self._vhost = quote(vhost, safe="")

    @property
    def user(self) -> str:
        """Who this process logs in as."""
        return unquote(self._where.username or "")

    def get(self, path: str) -> Any:
        """What it answers; `{vhost}` in the path is the virtual host. Raises NoAnswer."""
        return self._ask(path.replace("{vhost}", self._vhost))[0]

    def date(self) -> str:
        """The time that it says with an answer, as HTTP writes it. Raises NoAnswer."""
        return self._ask("/api/whoami")[1]

    def _ask(self, path: str) -> tuple[Any, str]:
        kind = HTTPSConnection if self._where.scheme == "https" else HTTPConnection
        connection = kind(self._where.hostname or "", self._where.port, timeout=SECONDS)
        try:
            connection.request("GET", self._where.path.rstrip("/") + path, headers=self._login())
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise NoAnswer(str(error) or type(error).__name__) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise NoAnswer(f"{answer.status} {answer.reason} for {path}", answer.status)
        return json.loads(text), answer.headers["Date"]

    def _login(self) -> dict[str, str]:
        login = f"{self.user}:{unquote(self._where.password or '')}"
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}

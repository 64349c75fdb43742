"""Large bodies are refused before they were read whole."""

from collections.abc import Iterator

import httpx2
import pytest

from service.settings import Settings
from tests.integration.http.raw import connect, head, status

CHUNK = b" " * 10_000


def test_a_body_of_ten_megabytes_is_refused(client: httpx2.Client) -> None:
    answer = client.post("/v1/jobs", content=b" " * 10_000_000)

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(
    client: httpx2.Client, settings: Settings
) -> None:
    with connect(client) as connection:
        connection.sendall(_head(client, f"Content-Length: {settings.largest_body + 1}"))

        assert status(connection) == 413


def test_a_streamed_body_is_refused_when_it_passes_the_limit(
    client: httpx2.Client, settings: Settings
) -> None:
    with connect(client) as connection:
        connection.sendall(_head(client, "Transfer-Encoding: chunked"))
        for _ in range(settings.largest_body // len(CHUNK) + 1):
            connection.sendall(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))

        # The last chunk, which would end the body, was never sent.
        assert status(connection) == 413


@pytest.mark.parametrize("excess", [0, 1])
def test_the_limit_is_exact(client: httpx2.Client, settings: Settings, excess: int) -> None:
    def body() -> Iterator[bytes]:
        yield b" " * (settings.largest_body + excess)

    streamed = client.post("/v1/jobs", content=body())
    declared = client.post("/v1/jobs", content=b"".join(body()))

    expected = 413 if excess else 415
    assert (streamed.status_code, declared.status_code) == (expected, expected)


def _head(client: httpx2.Client, length: str) -> bytes:
    return head("POST /v1/jobs", f"Authorization: {client.headers['authorization']}", length)

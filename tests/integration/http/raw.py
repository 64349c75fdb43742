"""Speaks HTTP byte by byte, as no client library would."""

import socket

import httpx2


def connect(client: httpx2.Client) -> socket.socket:
    """A connection to the server that the client talks to."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=10)


def head(request: str, *headers: str) -> bytes:
    """The head of a request such as `POST /v1/jobs`."""
    return "\r\n".join([f"{request} HTTP/1.1", "Host: test", *headers, "\r\n"]).encode()


def status(connection: socket.socket) -> int:
    """The status of the answer that comes."""
    answer = b""
    while b"\r\n" not in answer:
        part = connection.recv(1000)
        if not part:
            raise EOFError(f"the server hung up after {answer!r}")
        answer += part
    return int(answer.split()[1])

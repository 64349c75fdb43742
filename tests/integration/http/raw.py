"""Speaks HTTP byte by byte, as no client library would."""

import re
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


def all_that_comes(connection: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    answer = b""
    try:
        while part := connection.recv(100_000):
            answer += part
    except ConnectionResetError:  # it did so before it had read what we sent
        pass
    return answer


def statuses(answers: bytes) -> list[int]:
    """Those of all answers, in their order."""
    return [int(each) for each in re.findall(rb"HTTP/1\.1 ([0-9]{3})", answers)]

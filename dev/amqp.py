"""Just enough AMQP 0-9-1 to ask a RabbitMQ whether it lets us in: in milliseconds, without pika."""

import socket
import struct
from urllib.parse import unquote, urlsplit

START_OK, TUNE_OK, OPEN, OPEN_OK, CLOSE = (10, 11), (10, 31), (10, 40), (10, 41), (10, 50)


def vhost(url: str) -> str:
    """The virtual host that the URL names."""
    return unquote(urlsplit(url).path[1:])


def opens(url: str) -> bool:
    """Whether a server answers there, accepts the password and has the virtual host."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as server:
            login = f"\0{unquote(parts.username or '')}\0{unquote(parts.password or '')}"
            return _open(server, login, vhost(url))
    except OSError:
        return False


def _open(server: socket.socket, login: str, name: str) -> bool:
    server.sendall(b"AMQP\0\0\x09\x01")
    _receive(server)
    secret = struct.pack(">I", len(login.encode())) + login.encode()
    _send(server, START_OK, b"\0\0\0\0" + _short("PLAIN") + secret + _short("en_US"))
    _, limits = _receive(server)
    _send(server, TUNE_OK, limits)
    _send(server, OPEN, _short(name) + b"\0\0")
    method, _ = _receive(server)
    _send(server, CLOSE, struct.pack(">H", 200) + _short("bye") + b"\0\0\0\0")
    return method == OPEN_OK


def _send(server: socket.socket, method: tuple[int, int], arguments: bytes) -> None:
    payload = struct.pack(">HH", *method) + arguments
    server.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")


def _receive(server: socket.socket) -> tuple[tuple[int, int], bytes]:
    _, _, size = struct.unpack(">BHI", _read(server, 7))
    payload = _read(server, size + 1)[:-1]
    return struct.unpack(">HH", payload[:4]), payload[4:]


def _read(server: socket.socket, size: int) -> bytes:
    data = server.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise ConnectionError("the server hung up")
    return data


def _short(text: str) -> bytes:
    return bytes([len(text.encode())]) + text.encode()

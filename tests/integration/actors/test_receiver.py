"""The receiver keeps what arrived whole."""

import socket

from tests.support.outside.receiver import receiver

HALF = b"POST / HTTP/1.1\r\nHost: there\r\nContent-Length: 8\r\n\r\nhalf"


def test_a_request_whose_sender_died_in_its_middle_is_none() -> None:
    with receiver() as server:
        with socket.create_connection(("127.0.0.1", server.server_port)) as sender:
            sender.sendall(HALF)
            sender.shutdown(socket.SHUT_WR)
            assert sender.recv(1) == b""
        assert server.deliveries == []

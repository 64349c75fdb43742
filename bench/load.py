"""Posts orders over and over: `python -m bench.load PORT PATH CONNECTIONS SECONDS`.

Prints how many requests a second were answered well; an answer that is not 2xx ends it. Streams and
no HTTP client, which would be the limit.
"""

import asyncio
import json
import sys
import time

BODY = json.dumps({"item": "a thing"}).encode()
REQUEST = (
    "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
)
WARM_UP_SECONDS = 1.0


class Load:
    """Keep-alive connections, each with one request at a time."""

    def __init__(self, port: int, path: str, seconds: float) -> None:
        self._port = port
        self._request = REQUEST.format(path=path).encode() + BODY
        self._begin = time.monotonic() + WARM_UP_SECONDS
        self._end = self._begin + seconds
        self.answered = 0

    async def connection(self) -> None:
        """Post until the time is over; what was answered before the begin does not count."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while (now := time.monotonic()) < self._end:
            self.answered += now >= self._begin
            writer.write(self._request)
            await _read_answer(reader)
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> None:
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if not status.startswith(b"http/1.1 2"):
        raise RuntimeError(f"the answer was {status.decode()}")
    (length,) = (line for line in headers if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


async def main(port: int, path: str, connections: int, seconds: float) -> None:
    """Post on all connections at once."""
    load = Load(port, path, seconds)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(load.connection())
    print(load.answered / seconds)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))

"""Posts orders to shops in turns: `python -m bench.load CONNECTIONS SECONDS TURNS PORT/PATH ...`.

Prints as JSON, for each shop, how many requests a second were answered well in each of its turns.
An answer that is not 2xx ends it. Streams and no HTTP client, which would be the limit.
"""

import asyncio
import json
import random
import sys
import time

BODY = json.dumps({"item": "a thing"}).encode()
REQUEST = (
    "POST /{path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
)
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Shop:
    """One address, and keep-alive connections to it, each with one request at a time."""

    def __init__(self, target: str) -> None:
        self._port, path = target.split("/", 1)
        self._request = REQUEST.format(path=path).encode() + BODY
        self._streams: list[Stream] = []

    async def connect(self, connections: int) -> None:
        """Open the connections."""
        opening = [asyncio.open_connection("127.0.0.1", self._port) for _ in range(connections)]
        self._streams = await asyncio.gather(*opening)

    async def rate(self, seconds: float) -> float:
        """Post on all connections at once, so long; returns the answers a second."""
        begin = time.monotonic()
        posting = [self._post_until(begin + seconds, *stream) for stream in self._streams]
        success_doc = sum(await asyncio.gather(*posting))
        return success_doc / (time.monotonic() - begin)

    async def _post_until(
        self, end: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> int:
        success_doc = 0
        while time.monotonic() < end:
            writer.write(self._request)
            await _read_answer(reader)
            success_doc += 1
        return success_doc


async def _read_answer(reader: asyncio.StreamReader) -> None:
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if not status.startswith(b"http/1.1 2"):
        raise RuntimeError(f"the answer was {status.decode()}")
    (length,) = (line for line in headers if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


async def main(connections: int, seconds: float, turns: int, *targets: str) -> None:
    """Each shop once a turn, in an order that changes; what it does to warm up is not told."""
    shops = [Shop(target) for target in targets]
    for shop in shops:
        await shop.connect(connections)
        await shop.rate(seconds)
    rates: list[list[float]] = [[] for _ in shops]
    for turn in range(turns):
        for place in random.Random(turn).sample(range(len(shops)), len(shops)):
            rates[place].append(await shops[place].rate(seconds))
    json.dump(rates, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))

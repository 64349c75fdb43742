"""An HTTP server that takes 100 ms for each answer."""

import asyncio

HOST, PORT = "127.0.0.1", 8199
SECONDS = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One answer for each connection."""
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(SECONDS)
    writer.write(ANSWER)
    await writer.drain()
    writer.close()


async def main() -> None:
    """Answer until the process is ended."""
    async with await asyncio.start_server(answer, HOST, PORT, backlog=1000) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""A TCP proxy before each broker, which knows a request when it sees one.

Only clients of the PROXIED listener come through it. Armed, it does something once, to the next EndTxn of a transaction
that wrote events: cuts the connection before the broker has it, or once the broker has answered, or only tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from functools import partial
from typing import TypeAlias

ADD_PARTITIONS, END_TXN = 24, 26
"""Api keys in Kafka's protocol."""
Places: TypeAlias = frozenset[tuple[str, int]]
Done: TypeAlias = Callable[[Places], None]
MOST = 1 << 20


class Cut(Enum):
    BEFORE = auto()
    """The broker never hears of it."""
    AFTER = auto()
    """It is decided, and the client does not learn of it."""
    DECIDED = auto()
    """Nothing is cut."""


class Proxy:
    """Runs in a thread of its own. `ports`: from where clients come to where the broker listens, by broker."""

    def __init__(self, ports: Mapping[int, tuple[int, int]]) -> None:
        self._ports = ports
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._armed: tuple[Cut, Done] | None = None
        self._written: dict[str, Places] = {}  # by transactional.id, in the transaction that is open
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def arm(self, cut: Cut, done: Done) -> None:
        """`done` is called in the proxy's thread when it happens, with the partitions that the transaction wrote."""
        self._armed = cut, done

    def disarm(self) -> None:
        self._armed = None

    async def _listen(self) -> None:
        for inner, outer in self._ports.values():
            serve = partial(self._serve, inner)
            self._servers.append(await asyncio.start_server(serve, "127.0.0.1", outer))

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # the broker is down
            writer.close()
            return
        connection = _Connection(self, reader, writer, up_reader, up_writer)
        await connection.run()

    def see(self, request: bytes) -> tuple[Cut, Done, Places] | None:
        """Return what is to be done to this request; it is then no longer armed."""
        api_key, version = struct.unpack_from(">hh", request, 4)
        if api_key not in (ADD_PARTITIONS, END_TXN):
            return None
        _, at = _text(request, 12)  # client.id; before it length, key, version, correlation
        id, at = _text(request, at)
        if api_key == ADD_PARTITIONS:
            assert version <= 2, "a later version has another layout"
            self._written[id] = self._written.get(id, frozenset()) | _places(request, at + 10)
            return None
        written = self._written.pop(id, frozenset())
        if self._armed is None or not any(topic.endswith("events") for topic, _ in written):
            return None
        (cut, done), self._armed = self._armed, None
        return cut, done, written


def _text(request: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", request, at)
    end = at + 2 + max(0, length)
    return request[at + 2 : end].decode(), end


def _places(request: bytes, at: int) -> Places:
    """An array of (topic, array of partitions)."""
    found = set()
    (topics,) = struct.unpack_from(">i", request, at)
    at += 4
    for _ in range(topics):
        topic, at = _text(request, at)
        (count,) = struct.unpack_from(">i", request, at)
        found |= {(topic, partition) for partition in struct.unpack_from(f">{count}i", request, at + 4)}
        at += 4 + 4 * count
    return frozenset(found)


class _Connection:
    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer, self._up_reader, self._up_writer = reader, writer, up_reader, up_writer
        self._at_answer: tuple[Cut, Done, Places] | None = None

    async def run(self) -> None:
        ways = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (self._writer, self._up_writer):
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _up(self) -> None:
        """Requests, whole: a length, then the api key in two bytes."""
        buffered = b""
        while data := await self._reader.read(MOST):
            buffered += data
            for request in self._whole(buffered):
                buffered = buffered[len(request) :]
                seen = self._proxy.see(request)
                if seen is not None and seen[0] is Cut.BEFORE:
                    seen[1](seen[2])
                    return
                self._at_answer = self._at_answer or seen
                self._up_writer.write(request)
            await self._up_writer.drain()

    @staticmethod
    def _whole(buffered: bytes) -> Iterator[bytes]:
        at = 0
        while len(buffered) >= at + 6 and len(buffered) >= (end := at + 4 + struct.unpack_from(">i", buffered, at)[0]):
            yield buffered[at:end]
            at = end

    async def _down(self) -> None:
        while data := await self._up_reader.read(MOST):
            if self._at_answer is not None:
                (cut, done, written), self._at_answer = self._at_answer, None
                done(written)
                if cut is Cut.AFTER:
                    return
            self._writer.write(data)
            await self._writer.drain()

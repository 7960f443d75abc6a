"""A TCP proxy that makes a network slow, silent or broken. Knows nothing of what passes through."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

CHUNK = 64 * 1024
WAITING = 8 * 2**20
"""Bytes of one direction that may wait in the proxy before it reads no more, as a network's do."""


RETRY = 0.1
"""Seconds between two looks for a target that is away."""


class Proxy:
    """Listens on one port of 127.0.0.1 and passes everything on to another.

    While the target is away, connections are refused, as they would be without a proxy.

    Bytes arrive whole and in order however the network is treated, or the connection ends. All
    methods are safe from every thread, and take effect on connections that are there already.

    Args:
        port: Where it listens.
        target: The port of 127.0.0.1 that it passes on to.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self._delays = {"out": 0.0, "back": 0.0}
        self._refusing = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.passed = 0
        """Bytes passed on, both ways together."""

    def start(self) -> None:
        """Listen from now on.

        Raises:
            OSError: The port cannot be had.
        """
        self._thread.start()
        self._do(self._listen())

    def close(self) -> None:
        """End all connections and listen no more."""
        self._do(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def delay(self, out: float = 0.0, back: float = 0.0) -> None:
        """Hold everything back for some seconds, by direction; ``out`` is towards the target."""
        self._delays = {"out": out, "back": back}

    def stall(self) -> None:
        """Pass nothing on; connections stay open, as where a cable is pulled."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass on again what has been waiting, and let new connections in."""
        self._refusing = False
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._do(self._listen())

    def cut(self) -> None:
        """Break all connections off and refuse new ones until ``flow``."""
        self._refusing = True
        self._do(self._break())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None and not self._refusing:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _break(self) -> None:
        self._refuse()
        self._abort()

    async def _await_target(self) -> None:
        """Listen again once the target does."""
        while True:
            await asyncio.sleep(RETRY)
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._target)
                writer.transport.abort()
                await self._listen()
                return

    async def _shut(self) -> None:
        self._refuse()
        self._abort()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._join(reader, writer)
        except OSError:
            if self._server is not None:
                self._refuse()
                self._waiting = asyncio.ensure_future(self._await_target())
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(far_writer)
        try:
            directions = [
                asyncio.ensure_future(self._pass(reader, far_writer, lambda: self._delays["out"])),
                asyncio.ensure_future(self._pass(far_reader, writer, lambda: self._delays["back"])),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for each in directions:
                each.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
        finally:
            self._writers.discard(far_writer)
            far_writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]
    ) -> None:
        """Pass one direction on until it ends; what was read before the end still arrives."""
        line = _Line()
        taking = asyncio.ensure_future(self._take(reader, line, delay))
        try:
            while (chunk := await line.get()) is not None:
                due, data = chunk
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
                self.passed += len(data)
            with suppress(OSError):
                writer.write_eof()
                await writer.drain()
        finally:
            taking.cancel()

    async def _take(
        self, reader: asyncio.StreamReader, line: "_Line", delay: Callable[[], float]
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                await line.put(self._loop.time() + delay(), data)
        except OSError:
            pass
        finally:
            line.end()


class _Line:
    """Chunks on their way with the times at which they arrive; a bounded number of bytes."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, bytes] | None] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()
        self._ended = asyncio.Event()

    async def put(self, due: float, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes < WAITING)
            self._chunks.append((due, data))
            self._bytes += len(data)
            self._changed.notify_all()

    async def get(self) -> tuple[float, bytes] | None:
        """Return the next chunk with its time, None at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._chunks)
            chunk = self._chunks.popleft()
            self._bytes -= len(chunk[1]) if chunk else 0
            self._changed.notify_all()
            return chunk

    def end(self) -> None:
        """Say that nothing more comes."""
        self._chunks.append(None)
        asyncio.ensure_future(self._notify())  # noqa: RUF006 - it ends at once

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

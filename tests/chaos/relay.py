"""A TCP relay in front of one server: it can cut its connections, hold bytes back (a partition), and
delay them, without root. Network namespaces (netns.py) do the same to real packets."""
import asyncio
import itertools
import threading


class RelayLoop:
    """The thread on which all relays of a cluster run; makes them."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def relay(self, host="127.0.0.1"):
        """A new relay that listens there."""
        return Relay(self._loop, host)

    def close(self):
        """To be called when all relays have been closed."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _cancel_all(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Relay:
    """Listens on a port of its own; every connection is passed on to the server's address."""

    def __init__(self, loop, host):
        self._loop = loop
        self._host = host
        self._cutting = False
        self._targets = None
        self._writers = set()
        self._tasks = set()
        self._flowing = None
        self._delay_s = 0.0
        self._server = self._call(self._listen())
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self):
        self._flowing = asyncio.Event()
        self._flowing.set()
        return await asyncio.start_server(self._accept, self._host, 0)

    def connect_to(self, *addresses):
        """Where new connections go: to one after the other when there are several."""
        pairs = [address.rsplit(":", 1) for address in addresses]
        self._targets = itertools.cycle([(host, int(port)) for host, port in pairs])

    def cut(self, on):
        """While on, every connection is reset, and none is made."""
        self._cutting = on
        self._loop.call_soon_threadsafe(self._abort_all)

    def partition(self, on):
        """While on, nothing passes in either direction, and nobody is told."""
        event = self._flowing
        self._loop.call_soon_threadsafe(event.clear if on else event.set)

    def delay(self, seconds):
        """Every chunk of bytes takes this much longer from now on."""
        self._delay_s = seconds

    def close(self):
        self._call(self._close())

    async def _close(self):
        self._server.close()
        self._flowing.set()
        self._abort_all()

    def _abort_all(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader, writer):
        # The loop itself holds tasks weakly: one that waits would be collected.
        task = asyncio.current_task()
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):  # cancelled only when everything ends
            writer.transport.abort()
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass_on(self, reader, writer):
        await self._flowing.wait()
        if self._cutting:
            raise ConnectionAbortedError("connections are being cut")
        if self._targets is None:
            raise ConnectionRefusedError("the server has no address yet")
        there_reader, there_writer = await asyncio.open_connection(*next(self._targets))
        self._writers.add(there_writer)
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._writers.discard(there_writer)

    async def _pump(self, reader, writer):
        """Passes bytes on, each chunk `delay` after it came, in order."""
        queue = asyncio.Queue(maxsize=1024)
        sender = asyncio.ensure_future(self._send(queue, writer))
        try:
            while data := await reader.read(1 << 16):
                await queue.put((self._loop.time() + self._delay_s, data))
        except OSError:
            writer.transport.abort()
        except asyncio.CancelledError:
            sender.cancel()
            raise
        await queue.put(None)
        await sender

    async def _send(self, queue, writer):
        try:
            while (item := await queue.get()) is not None:
                due, data = item
                if (left := due - self._loop.time()) > 0:
                    await asyncio.sleep(left)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except (OSError, RuntimeError):
            writer.transport.abort()
            while await queue.get() is not None:
                pass

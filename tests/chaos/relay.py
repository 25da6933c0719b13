"""A TCP relay in front of one server: it can cut its connections, hold bytes back (a partition), and
delay them, without root. Network namespaces (netns.py) do the same to real packets."""
import asyncio
import threading


class RelayLoop:
    """The thread on which all relays of a cluster run; makes them."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(self):
        return Relay(self._loop)

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class Relay:
    """Listens on a port of its own; every connection is passed on to the server's address."""

    def __init__(self, loop):
        self._loop = loop
        self._target = None
        self._writers = set()
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
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    def connect_to(self, address):
        """Where new connections go."""
        host, port = address.rsplit(":", 1)
        self._target = (host, int(port))

    def cut(self):
        """Resets every connection; new ones are taken."""
        self._loop.call_soon_threadsafe(self._abort_all)

    def partition(self, on):
        """While on, nothing passes in either direction, and nobody is told."""
        event = self._flowing
        self._loop.call_soon_threadsafe(event.clear if on else event.set)

    def delay(self, seconds):
        """Every chunk of bytes takes this much longer from now on."""
        self._delay_s = seconds

    def close(self):
        self.partition(False)
        self._loop.call_soon_threadsafe(self._server.close)
        self.cut()

    def _abort_all(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader, writer):
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(there_writer)
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        self._writers -= {writer, there_writer}

    async def _pump(self, reader, writer):
        """Passes bytes on, each chunk `delay` after it came, in order."""
        queue = asyncio.Queue(maxsize=1024)
        sender = asyncio.ensure_future(self._send(queue, writer))
        try:
            while data := await reader.read(1 << 16):
                await queue.put((self._loop.time() + self._delay_s, data))
        except OSError:
            writer.transport.abort()
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

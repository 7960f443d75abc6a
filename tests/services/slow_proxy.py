"""A TCP proxy that holds every answer back for a while. Knows nothing of what passes."""

import contextlib
import socket
import threading
import time


class SlowProxy:
    """Listens on ``port`` and leads to a port of this machine.

    Args:
        target: Port of the server.
        delay: Seconds that each piece of an answer is held back; may be changed at any time.

    While ``down`` is set, connections end as soon as they are used, and new ones at once.
    """

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self.delay = delay
        self.down = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                if self.down:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for source, sink, slow in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, slow), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                if self.down:
                    break
                if slow:
                    time.sleep(self.delay)
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
                each.close()

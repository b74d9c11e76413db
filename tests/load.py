"""Callers who keep a service busy."""

import contextlib
import http.client
import threading
from collections import Counter


class Load:
    """Callers who send one request after the other on connections that they keep, until the port is closed.

    outcomes: answers by (status, body); anything else that befell a request by the name of its error. A port that
    cannot be connected to is where a load balancer would have gone elsewhere: no request was sent, so none was lost.
    """

    def __init__(self, port: int, connections: int, body: str | bytes = "x", host: str = "127.0.0.1") -> None:
        self.outcomes: Counter[object] = Counter()
        self._address = host, port
        self._body = body
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(connections)]
        for each in self._threads:
            each.start()

    def end(self) -> Counter[object]:
        self._over.set()
        for each in self._threads:
            each.join(30)
            assert not each.is_alive(), "a request hangs"
        return self.outcomes

    def _call(self) -> None:
        with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=20)) as connection:
            self._call_on(connection)

    def _call_on(self, connection: http.client.HTTPConnection) -> None:
        while not self._over.is_set():
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                return
            try:
                connection.request("POST", "/score", self._body)
                reply = connection.getresponse()
                outcome: object = (reply.status, reply.read().decode())
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
                connection.close()
            self.outcomes[outcome] += 1

"""What takes more than one request to see."""

import contextlib
import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from contract import Ask, Request, Seen, Server, get, post

HEALTH = get("/")
LOG_DEADLINE_S = 1.0  # a line is written before the answer, and read from a file
END_DEADLINE_S = 30
HANGS_S = 3  # a start that fails takes about 1 s
REPLACED_S = 10


@contextlib.contextmanager
def meanwhile(request: Request, server: Server) -> Iterator[None]:
    """Send the request, and go on once it is under way."""
    thread = threading.Thread(target=request, args=[server])
    thread.start()
    time.sleep(0.3)
    yield
    thread.join()


def health_while(busy: Request, on_health_port: bool = False) -> Ask:
    """GET / while the only worker is busy with a request."""

    def ask(server: Server) -> Seen:
        with meanwhile(busy, server):
            return HEALTH(server, server.health_port if on_health_port else None, deadline_s=1.5)

    return ask


def on_health_port(request: Request) -> Ask:
    return lambda server: request(server, server.health_port)


def replaced_by(request: Request) -> Ask:
    """The request's answer, and whether another worker answers from then on."""

    def ask(server: Server) -> tuple[Seen, str]:
        before = post("pid")(server).text
        answers: list[Seen] = []
        thread = threading.Thread(target=lambda: answers.append(request(server)))
        thread.start()
        end = time.monotonic() + REPLACED_S
        told = "the same worker"
        while time.monotonic() < end:
            after = post("pid")(server, deadline_s=1)
            if after.status == 200 and after.text != before:
                told = "another worker"
                break
            time.sleep(0.2)
        thread.join()
        return answers[0], told

    return ask


def pids(server: Server) -> str:
    """How many workers answer, asked side by side."""
    seen = set()
    end = time.monotonic() + 1.5
    while len(seen) < 2 and time.monotonic() < end:
        answers: list[Seen] = []
        threads = [threading.Thread(target=lambda to=answers: to.append(post("pid")(server))) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        seen |= {each.text for each in answers}
    return "one" if len(seen) == 1 else "several"


def logged(request: Request, text: str) -> Ask:
    """Whether the request makes a line appear in the log that holds the text."""

    def ask(server: Server) -> str:
        request(server)
        end = time.monotonic() + LOG_DEADLINE_S
        while time.monotonic() < end:
            if any(text in line for line in server.log_text().splitlines()):
                return "in the log"
            time.sleep(0.05)
        return "not in the log"

    return ask


def line_with(request: Request, text: str) -> Ask:
    """Log lines that hold the text, once the request has been answered."""

    def ask(server: Server) -> str:
        logged(request, text)(server)
        return "\n".join(line for line in server.log_text().splitlines() if text in line)

    return ask


def ended(within_s: float = END_DEADLINE_S) -> Ask:
    """The exit code and the log; or that it goes on, and what GET / then answers."""

    def ask(server: Server) -> tuple[object, str]:
        try:
            return server.wait_end(within_s), server.log_text()
        except subprocess.TimeoutExpired:
            return "goes on", HEALTH(server, deadline_s=1).text

    return ask


def started(request: Request) -> Ask:
    """The request's answer once the server is up; or its exit code and log."""

    def ask(server: Server) -> object:
        end = time.monotonic() + END_DEADLINE_S
        while HEALTH(server, deadline_s=1).status != 200:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return server.wait_end(0.05), server.log_text()
            assert time.monotonic() < end, server.log_text()
        return request(server)

    return ask


def when_triton_died(request: Request) -> Ask:
    """The answer once Triton's process is gone, until it is back."""

    def ask(server: Server) -> Seen:
        for pid in server.children("tritonserver --"):
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + REPLACED_S
        while (seen := request(server)).status == 200 and time.monotonic() < end:
            time.sleep(0.02)
        return seen

    return ask


def stream(request: Request) -> Ask:
    """Whether the parts come chunked and one by one, and what they are together."""

    def ask(server: Server) -> tuple[object, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=8)
        connection.request(request.method, request.path, request.body, dict(request.headers))
        reply = connection.getresponse()
        first = reply.read(5)
        came = time.monotonic()
        rest = reply.read()
        apart = time.monotonic() - came > 0.5
        connection.close()
        return (
            reply.status if reply.status != 200 else reply.getheader("Transfer-Encoding"),
            "one by one" if apart else "at once",
            first + rest,
        )

    return ask


def during_init(server: Server) -> tuple[str, str]:
    """What GET / answers while init() runs, and after."""
    while "Refused" in (during := HEALTH(server, deadline_s=1)).text:  # until Gunicorn listens
        time.sleep(0.05)
    server.release.touch()
    after = started(HEALTH)(server)
    return str(during.status or during.text), after.text

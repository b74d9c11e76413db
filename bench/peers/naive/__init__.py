"""What a person would write in an hour: Flask, Gunicorn's gevent worker, tritonclient.http."""

from pathlib import Path

from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """Gunicorn with defaults but for the worker class."""
    workers, bind = str(launch.workers), f"127.0.0.1:{launch.port}"
    return [str(launch.python), "-m", "gunicorn", "-k", "gevent", "-w", workers, "-b", bind, "server:app"]


PEER = Peer(name="naive", home=Path(__file__).parent, command=command, workers=(1, 2), triton="shared")

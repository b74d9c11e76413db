"""The floor: Flask behind Gunicorn's gevent worker, no model. What any Python front of this kind costs."""

from pathlib import Path

from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """As README.md of Gunicorn says, one gevent worker."""
    bind = f"127.0.0.1:{launch.port}"
    return [str(launch.python), "-m", "gunicorn", "-k", "gevent", "-w", "1", "-b", bind, "server:app"]


PEER = Peer(name="floor", home=Path(__file__).parent, command=command, answers=False)

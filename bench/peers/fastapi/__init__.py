"""FastAPI and Uvicorn with tritonclient's asyncio client: the naive front's answer in the other camp."""

from pathlib import Path

from bench.peer import Launch, Peer


def command(launch: Launch) -> list[str]:
    """Uvicorn with uvloop and httptools, which its `standard` extra brings; without a log line for each request."""
    flags = ["--port", str(launch.port), "--workers", str(launch.workers), "--no-access-log"]
    return [str(launch.python), "-m", "uvicorn", "server:app", *flags]


PEER = Peer(name="fastapi", home=Path(__file__).parent, command=command, own_venv=True, workers=(1, 2), triton="shared")

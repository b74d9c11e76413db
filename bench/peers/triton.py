"""Triton alone, asked in its own protocol: what no front can be faster than."""

from pathlib import Path

from bench.dialects import V2
from bench.peer import Peer

PEER = Peer(name="triton", home=Path(__file__).parent, command=None, triton="shared", dialect=V2)

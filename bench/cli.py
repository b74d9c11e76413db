"""The command line: which rows, which cells, for how long."""

import argparse
import dataclasses
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from . import cases, machine, plots, report, wrk
from .peer import Peer
from .peers import PEERS, floor, scoregate
from .rounds import measure
from .venvs import BENCH

QUICK_ROWS = ("floor", "triton", "naive", "scoregate", "scoregate-own")


def main() -> None:
    """Measure, then say where the table is."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the servers, too
    if wrk.is_missing():
        sys.exit(wrk.MISSING)
    peers, asked = plan(options)
    rounds = options.rounds or (2 if options.quick else 3)
    seconds = options.seconds or (1 if options.quick else 5)
    measured = measure(peers, asked, rounds, seconds)
    directory = report.OTHER_RESULTS if options.model or options.quick else report.RESULTS
    table = report.write(directory, measured, machine.description(), ["python", "-m", "bench", *sys.argv[1:]])
    plots.latency_over_throughput(directory, measured.samples)
    print(table.read_text())


def parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Scoregate beside its peers.")
    parser.add_argument("--quick", action="store_true", help="few rows and cells, less than three minutes")
    parser.add_argument("--rows", type=names, metavar="A,B", help=f"only these of {', '.join(p.name for p in PEERS)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="times that each cell is measured (default 3)")
    parser.add_argument("--seconds", type=int, metavar="S", help="length of each measurement (default 5)")
    own = parser.add_argument_group("your own model, in place of the built-in ones")
    own.add_argument("--model", metavar="NAME", help="the model that the script asks")
    own.add_argument("--request", type=Path, metavar="FILE", help="body of the request")
    own.add_argument("--script", type=Path, metavar="FILE", help="the script (default: the service's)")
    own.add_argument("--repository", type=Path, metavar="DIR", help="MODEL_DIR (default: models)")
    own.add_argument("--content-type", default="application/json", metavar="TYPE", help="of the body")
    return parser


def names(text: str) -> tuple[Peer, ...]:
    """Read the peers' names, with commas between them."""
    known = {peer.name: peer for peer in PEERS}
    try:
        return tuple(known[name] for name in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"no row {error}; there are {', '.join(known)}") from None


def plan(options: argparse.Namespace) -> tuple[Sequence[Peer], list[cases.Case]]:
    """Choose rows and cells."""
    if options.model:
        directory = (options.repository or BENCH.parent / "models").resolve()
        script = options.script.resolve() if options.script else None
        own = cases.own(options.model, directory, options.request, options.content_type, (1, 16, 64))
        return (floor.PEER, scoregate.of_user(script)), [own]
    if options.quick:
        # One worker each, and no row that needs a venv of its own.
        quick = (dataclasses.replace(peer, workers=peer.workers[:1]) for peer in PEERS if peer.name in QUICK_ROWS)
        peers = options.rows or tuple(quick)
        return peers, [cases.digits((1, 64)), cases.mid((64,), binary=False), cases.mid((64,), binary=True)]
    asked = [cases.digits((1, 16, 64)), cases.mid((1, 16, 64), binary=False), cases.mid((16, 64), binary=True)]
    return options.rows or PEERS, asked


if __name__ == "__main__":
    main()

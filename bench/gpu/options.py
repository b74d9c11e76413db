"""The command line. Needs nothing but the standard library."""

import argparse
import os
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Measure how many workers feed one GPU.")
    parser.add_argument("--seconds", type=int, default=2, metavar="S", help="length of each measurement (default 2)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times that each is made (default 3)")
    parser.add_argument("--wrk", type=program, metavar="PATH", help="the wrk to use (default: the one on PATH)")
    parser.add_argument("--check", action="store_true", help="compare some answers with torch's, measure nothing")
    return parser


def program(text: str) -> Path:
    """Read the path of a program."""
    path = Path(text)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise argparse.ArgumentTypeError(f"there is no program {text}")
    return path

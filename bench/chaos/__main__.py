"""python -m bench.chaos: do each fault to the service under load, then say what became of the requests."""

import argparse
import sys

from . import report, runs
from .faults import FAULTS
from .figures import Row
from .service import Gone
from .usage import Course

NAMES = (*FAULTS, "drain", "leaks")


def main() -> None:
    """Run; the exit code is 1 if something was that should not have been."""
    options = parser().parse_args()
    rows: list[Row] = []
    courses: list[Course] = []
    names = [*(options.fault or NAMES), *(["soak"] if options.soak else [])]
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}", flush=True)
        try:
            rows.append(run(name, options.seconds, options.soak, courses))
        except Gone as error:
            sys.exit(f"{name}: {error}")
    print(report.write(rows, courses, ["python", "-m", "bench.chaos", *sys.argv[1:]]).read_text())
    sys.exit(any(row.problems for row in rows))


def run(name: str, seconds: int, minutes: int, courses: list[Course]) -> Row:
    """Do one; courses gets what the service held meanwhile. Raises Gone if a service does not start."""
    if name == "drain":
        return runs.drain()
    if name == "leaks":
        row, course = runs.leaks()
        courses.append(course)
        return row
    if name == "soak":
        row, course = runs.soak(minutes)
        courses.append(course)
        return row
    return runs.run(name, seconds)


def parser() -> argparse.ArgumentParser:
    """Make the parser."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description="Disturb the service under load.")
    parser.add_argument("--fault", action="append", choices=NAMES, help="only this; may be given several times")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="length of each fault (default 60)")
    parser.add_argument(
        "--soak",
        type=int,
        default=0,
        metavar="MINUTES",
        help="then load for so long, with requests that are cut off (default 0)",
    )
    return parser


if __name__ == "__main__":
    main()

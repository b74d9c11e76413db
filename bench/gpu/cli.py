"""Run in the Python that has torch: check, or measure and say where the table is."""

import dataclasses
import sys

import torch  # type: ignore[import-not-found]

from .. import machine
from ..cases import Case
from ..rows import NotRun, rows_up
from ..servers import DoesNotStart
from . import answers, asking, load, report
from .measure import measure
from .nets import NAMES
from .options import parser
from .repository import lay_out


def main() -> None:
    """Do what was asked for."""
    options = parser().parse_args()
    with load.wrk_on_path(options.wrk):
        if not options.check and (problem := load.problem()):
            sys.exit(problem)
        directory = lay_out()
        cases = [asking.case(name, directory) for name in NAMES]
        if options.check:
            for case in cases:
                check(case)
            return
        if not torch.cuda.is_available():
            sys.exit("The driver names a GPU, but this Python's torch cannot use it.")
        from .busy import Busy, description  # needs a GPU's driver

        command = ["python", "-m", "bench.gpu", *sys.argv[1:]]
        described = machine.description() | description() | {"wrk threads": str(load.threads())}
        samples, not_run = measure([asking.TRITON, asking.SERVICE], cases, options.rounds, options.seconds, Busy)
        print(report.write(samples, not_run, described, command).read_text())


def check(case: Case) -> None:
    """Compare answers, through one worker and straight from its Triton. Ends the program if one is wrong."""
    not_run: dict[str, str] = {}
    try:
        with rows_up([dataclasses.replace(asking.SERVICE, workers=(1,))], case, not_run) as rows:
            for reason in not_run.values():
                raise NotRun(reason)
            launch, right = rows[0].launch, answers.expected(case.model)
            through = answers.check(launch.port, rows[0].peer.dialect, case, right)
            straight = answers.check(launch.triton_port, asking.STRAIGHT, case, right)
    except (NotRun, DoesNotStart) as error:
        sys.exit(f"{case.model}: {error}")
    print(
        f"{case.model}: answers as torch does; off by {through:.0e} of the logits' spread through the service, "
        f"by {straight:.0e} straight from Triton (allowed: {answers.TOLERANCE})",
        flush=True,
    )


main()

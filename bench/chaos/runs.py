"""The runs: a fresh service each, under load."""

import contextlib
import time

from . import figures
from .faults import FAULTS, Fault, Moment, every, kill_triton, kill_worker
from .figures import Row
from .load import Load, Record
from .questions import questions
from .service import ROOT, Gone, Service, running
from .usage import Course, Usage

WARM_UP_S = 3.0
SETTLE_S = 30.0  # of load, until memory is what it stays: PSS grew by 10 MiB in so long, and not in the 9 minutes after
DRAIN_S = 5
DRAINS = 3
LEAK_KILLS = 10
STRAINED_SCRIPT = ROOT / "bench" / "chaos" / "strained" / "score.py"
CALM_S = 15.0  # for what was started last to be up, and for what is idle to be let go


def run(name: str, seconds: float) -> Row:
    """Apply one of the faults for so many seconds at least."""
    fault = FAULTS[name]
    with running(name, **fault.settings) as service:
        moments, record = under_load(service, fault, seconds)
    row = figures.row(name, moments, record, service.problems)
    row.problems += [f"no {each:d} came" for each in fault.provokes if not row.outcomes[each.name]]
    if name == "reload" and (missing := set(range(len(moments) + 1)) - record.scripts):
        row.problems.append(f"no answer came from the scripts {sorted(missing)}")
    return row


def under_load(service: Service, fault: Fault, seconds: float) -> tuple[list[Moment], Record]:
    """Apply the fault while callers ask."""
    with Load(service.port, questions(service.triton_port)) as load:
        time.sleep(WARM_UP_S)
        moments = fault.apply(service, seconds)
    return moments, load.record


def drain() -> Row:
    """Stop services while callers ask, who go elsewhere once they are refused."""
    record, problems, seconds = Record(), [], []
    for _ in range(DRAINS):
        with contextlib.ExitStack() as until_all_are_refused, running("drain", DRAIN_SECONDS=str(DRAIN_S)) as service:
            asked = questions(service.triton_port)
            load = until_all_are_refused.enter_context(Load(service.port, asked, until_refused=True))
            time.sleep(WARM_UP_S)
        record.extend(load.record)
        problems += service.problems
        if (served_s := load.record.ended[-1] - service.stop_at) < DRAIN_S:
            problems.append(f"the last answer came {served_s:.1f} s after SIGTERM, with DRAIN_SECONDS={DRAIN_S}")
        seconds.append(service.stop_s)
    row = figures.row("drain", [], record, problems)
    row.times = DRAINS
    row.notes.append(f"ended {', '.join(f'{each:.1f}' for each in seconds)} s after SIGTERM (DRAIN_SECONDS={DRAIN_S})")
    return row


def leaks() -> tuple[Row, Course]:
    """Kill Triton some times, then workers; see what the service holds, each time in calm."""
    kills = {
        "Triton": (Fault(kill_triton, every(15)), LEAK_KILLS * 15),
        "workers": (Fault(kill_worker, every(5)), LEAK_KILLS * 5),
    }
    all_moments: list[Moment] = []
    all_records = Record()
    with running("leaks") as service:
        with Load(service.port, questions(service.triton_port)):
            time.sleep(SETTLE_S)
        time.sleep(CALM_S)
        usages = {"before": Usage.of(service)}
        for what, (fault, seconds) in kills.items():
            moments, record = under_load(service, fault, seconds)
            all_moments += moments
            all_records.extend(record)
            time.sleep(CALM_S)
            usages[f"after {len(moments)} kills of {what}"] = Usage.of(service)
    course = Course("What the service holds, in calm", usages)
    return figures.row("leaks", all_moments, all_records, service.problems + course.problems()), course


def soak(minutes: int) -> tuple[Row, Course]:
    """Strain the script under load, and kill nothing; see what the service holds each half minute."""
    with running("soak", ENTRY_SCRIPT=str(STRAINED_SCRIPT)) as service, contextlib.ExitStack() as load_on:
        load = load_on.enter_context(Load(service.port, questions(service.triton_port), strained=True))
        time.sleep(SETTLE_S)
        usages = [Usage.of(service)]
        workers = service.workers()
        try:
            for _ in range(minutes * 2):
                time.sleep(30)
                usages.append(Usage.of(service))
        except Gone as error:
            service.problems.append(str(error))
        if service.workers() != workers:
            service.problems.append("a worker was replaced")
        load_on.close()
    times = [number / 2 for number in range(len(usages))]
    course = Course(
        f"{minutes} minutes under load, with requests that are cut off",
        {f"{minute:g} min": each for minute, each in zip(times, usages, strict=True)},
        times,
    )
    row = figures.row("soak", [], load.record, service.problems + course.problems())
    row.times = minutes
    return row, course

"""python -m bench growth: measure each part, write a table, the figures, and a picture."""

import json
import sys
from collections.abc import Iterator, Mapping

import matplotlib as mpl  # type: ignore[import-not-found]
import matplotlib.pyplot as plt  # type: ignore[import-not-found]

from .. import machine, wrk
from ..report import RESULTS, markdown
from ..rows import NotRun
from ..servers import DoesNotStart
from . import batching, concurrency, fairness, memory, size, start
from .part import Figures, Part

PARTS = (concurrency.PART, size.PART, memory.BODY_PART, memory.IDLE_PART, start.PART, fairness.PART, batching.PART)


def main() -> None:
    """Measure all parts, one after the other."""
    if wrk.is_missing():
        sys.exit(wrk.MISSING)
    mpl.use("Agg")  # files, no window
    measured: dict[str, Figures] = {}
    for number, part in enumerate(PARTS, 1):
        print(f"[{number}/{len(PARTS)}] {part.name}", flush=True)
        try:
            measured[part.name] = part.measure()
        except (DoesNotStart, NotRun, OSError, RuntimeError) as error:
            measured[part.name] = [{"not run": str(error)}]
    RESULTS.mkdir(exist_ok=True)
    described = machine.description()
    (RESULTS / "growth.json").write_text(json.dumps({"machine": described, "figures": measured}, indent=1) + "\n")
    for part in PARTS:
        if is_drawn(part, measured[part.name]) and part.draw:
            figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
            part.draw(axes, measured[part.name])
            axes.grid(alpha=0.3)
            figure.savefig(RESULTS / picture(part), dpi=120)
    table = RESULTS / "growth.md"
    table.write_text("\n".join(_lines(measured, described)) + "\n")
    print(table.read_text())


def is_drawn(part: Part, figures: Figures) -> bool:
    """Whether the part has a picture and was measured."""
    return part.draw is not None and "not run" not in figures[0]


def picture(part: Part) -> str:
    """Name the part's file."""
    return f"growth-{part.name.lower().replace(' ', '-')}.png"


def _lines(measured: Mapping[str, Figures], described: Mapping[str, str]) -> Iterator[str]:
    yield "# Growth"
    yield ""
    yield f"`python -m bench growth`, on: {', '.join(f'{name} {value}' for name, value in described.items())}."
    for part in PARTS:
        figures = measured[part.name]
        yield ""
        yield f"## {part.name}"
        yield ""
        yield part.meaning
        yield ""
        yield from markdown(list(figures[0]), [[_cell(value) for value in each.values()] for each in figures])
        if is_drawn(part, figures):
            yield ""
            yield f"![{part.name}]({picture(part)})"


def _cell(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()

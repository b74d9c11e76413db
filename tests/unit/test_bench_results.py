"""Where the bench writes what it measured."""

import importlib
import sys
from types import SimpleNamespace

import pytest

from bench import report, wrk
from bench.samples import Measured


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ([], "published"),
        (["--rows", "floor"], "published"),
        (["--quick"], "other"),
        (["--model", "mine", "--request", "body.json"], "other"),
    ],
)
def test_only_a_run_of_the_benchs_own_models_is_published(tmp_path, monkeypatch, options, written):
    drawn = []
    stand_ins = {  # for what needs the benchmark's own packages
        "machine": SimpleNamespace(description=dict),
        "plots": SimpleNamespace(latency_over_throughput=lambda directory, _: drawn.append(directory)),
        "rounds": SimpleNamespace(measure=lambda *_: Measured()),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(sys.modules, f"bench.{name}", stand_in)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "published")
    monkeypatch.setattr(report, "OTHER_RESULTS", tmp_path / "other")
    monkeypatch.setattr(wrk, "is_missing", lambda: False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "body.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    monkeypatch.delitem(sys.modules, "bench.cli", raising=False)
    cli = importlib.import_module("bench.cli")

    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    cli.main()
    (table,) = tmp_path.glob("*/table.md")
    assert table.parent.name == written
    assert drawn == [tmp_path / written]

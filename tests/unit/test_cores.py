"""Of what a machine has, a model computes with the cores that its process may use."""

import os

import pytest

from embedded.backends.onnxruntime import cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Four processors, two of each core, of which the process may use all."""
    for processor, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / str(processor)).write_text(siblings + "\n")
    monkeypatch.setattr(cores, "CORE", f"{tmp_path}/{{}}")
    monkeypatch.setattr(cores, "LIMIT", str(tmp_path / "cpu.max"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    return tmp_path


@pytest.mark.parametrize(("allowed", "count"), [({0, 1, 2, 3}, 2), ({0, 2}, 1), ({0, 3}, 2), ({3}, 1)])
def test_hardware_threads_of_a_core_count_once(machine, monkeypatch, allowed, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    assert cores.core_count() == count


@pytest.mark.parametrize(
    ("limit", "count"),
    [("max 100000", 2), ("400000 100000", 2), ("100000 100000", 1), ("110000 100000", 2), ("50000 100000", 1)],
)
def test_a_containers_limit_counts(machine, limit, count):
    (machine / "cpu.max").write_text(limit + "\n")
    assert cores.core_count() == count


def test_without_knowing_more_each_processor_is_a_core(machine, monkeypatch):
    monkeypatch.setattr(cores, "CORE", f"{machine}/nothing-{{}}")
    assert cores.core_count() == 4

"""Rows of different requests are run together only where that changes no answer."""

import time

import numpy as np
import pytest
from batching_proof import CannotTry, complete, reason_against_batching
from model_signature import Signature, Tensor

WEIGHTS = np.linspace(-1, 1, 12).reshape(3, 4)


class Failed(Exception):
    """What a model raises."""


def signature(x=(-1, 3), y=(-1, 4), kind="TYPE_FP32", x_names=(), y_names=()):
    return Signature("model", {"x": Tensor(kind, x, x_names)}, {"y": Tensor("TYPE_FP32", y, y_names)})


def verdict(model, sign=None, **shapes):
    """Why not, and on how many rows the model was run each time."""
    sign = sign or signature(**shapes)
    rows = []

    def run(names, feed, seconds):
        assert (names, 0 < seconds <= 5) == (["y"], True)
        rows.append(len(feed["x"]))
        return [model(feed["x"])]

    config = {"input": [], "output": [], "max_batch_size": 0}
    return reason_against_batching(sign, sign.row_shapes(config), run, (Failed,)), rows


def quantised(x):
    """As dynamic quantisation does: one scale for the whole input."""
    scale = np.abs(x).max() / 127
    return np.rint(x / scale) * scale @ WEIGHTS


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda x: x @ WEIGHTS, id="each row by itself"),
        pytest.param(quantised, id="quantised"),
        pytest.param(lambda x: np.ones((len(x), 4)) + len(x) * 1e-7, id="nearly the same for all, but for rounding"),
        pytest.param(lambda x: np.full((len(x), 4), np.nan), id="not a number"),
        pytest.param(lambda x: np.where(x > 0.5, np.inf, x), id="partly infinite"),
        pytest.param(lambda x: np.array([[str(n) for n in row] for row in x], object), id="texts"),
        pytest.param(lambda x: x.sum(1) > 1, id="truths"),
        pytest.param(lambda x: (x.sum(1) * 100).astype(np.uint64), id="whole numbers"),
    ],
)
def test_rows_that_stand_for_themselves_may_be_run_together(model):
    assert verdict(model) == ("", [1, 2, 3, 1, 3, 4])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda x: x - x.mean(0), "other values"),
        (lambda x: (x - x.mean(0)) / (x.std(0) + 1e-5), "other values"),
        (lambda x: np.sort(x, 0), "other values"),
        (lambda x: np.sort(x, 0)[::-1], "other values"),
        (lambda x: np.sort(x[:, :1], 0), "other values"),
        (lambda x: np.sort(x[:, :1], 0)[::-1], "other values"),
        (lambda x: x[::-1], "other values"),
        (lambda x: np.cumsum(x, 0), "other values"),
        (lambda x: x + 0.03 * len(x), "other values"),
        (lambda x: np.array([[str(x.max())]] * len(x), object), "other values"),
        (lambda x: x == x.max(0), "other values"),
        (lambda x: np.broadcast_to(x.sum(), (1, 4)), "[1, 4] for 2 rows"),
        (lambda x: x.reshape(-1, 1), "[3, 1] for 1 row"),
        (lambda x: x.sum(), "[] for 1 row"),
        (lambda x: np.zeros((len(x), len(x))), "has shape [1] if run alone, and [2] in a run of 2 rows"),
    ],
)
def test_rows_that_depend_on_each_other_may_not(model, words):
    reason, rows = verdict(model)
    assert "output 'y' has " in reason
    assert words in reason
    assert len(rows) <= 6


def test_what_the_first_trial_has_shown_counts_when_the_second_cannot_be_run():
    def model(x):
        if x.shape[1] > 32:
            raise Failed
        return x - x.mean(0)

    assert "other values" in verdict(model, x=(-1, -1), y=(-1, -1))[0]
    with pytest.raises(CannotTry):
        verdict(lambda x: x if x.shape[1] <= 32 else model(x), x=(-1, -1), y=(-1, -1))


@pytest.mark.parametrize("size", [(-1, 100, -1), (-1, 100, 2)], ids=str)
def test_an_output_whose_first_dimension_is_not_the_batch_is_found(size):
    reason, _ = verdict(lambda x: x.transpose(2, 0, 1), x=size, y=(-1, -1, 100))
    assert "for 1 row" in reason


def test_two_sizes_of_open_dimensions_are_tried():
    sizes = []
    assert verdict(lambda x: sizes.append(x.shape[1:]) or x, x=(-1, 3, -1, -1))[0] == ""
    assert len(set(sizes)) == 2
    assert all(three == 3 and width == height > 4 for three, width, height in sizes)


def test_a_size_that_the_config_gives_is_the_one_that_is_tried():
    sign = signature(x=(-1, -1))
    config = {"input": [{"name": "x", "dims": [7]}], "output": [], "max_batch_size": 0}
    shapes = set()

    def run(_, feed, __):
        shapes.add(feed["x"].shape[1:])
        return [feed["x"]]

    assert reason_against_batching(sign, sign.row_shapes(config), run, ()) == ""
    assert shapes == {(7,)}


@pytest.mark.parametrize("kind", ["BOOL", "UINT8", "INT8", "INT64", "FP16", "FP32", "FP64", "STRING"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 16)], ids=str)
def test_rows_differ_and_are_what_most_models_can_take(kind, shape):
    arrays = []
    assert verdict(lambda x: arrays.append(x) or x, x=shape, kind=f"TYPE_{kind}")[0] == ""
    together = [arrays[2], arrays[5]]
    for array in together:
        assert array.dtype == {"BOOL": bool, "STRING": object}.get(kind, kind.lower().replace("fp", "float"))
        numbers = array.astype(np.float64)
        assert numbers.min() >= 0
        assert numbers.max() <= (9 if kind == "STRING" else 1)
        rows = {tuple(np.ravel(row)) for row in array}
        assert len(rows) >= (len(array) if shape[1:] == (16,) or kind.startswith("FP") else 2)


@pytest.mark.parametrize(
    ("x_names", "y_names", "reason"),
    [
        (("batch", ""), ("", "batch"), "'batch', an input's first dimension, is dimension 2 of output 'y'"),
        (("n", "m"), ("n", "n"), "'n', an input's first dimension, is dimension 2 of output 'y'"),
        (("unk__1", ""), ("unk__2", ""), ""),
        (("n", "m"), ("m", ""), ""),
        (("None", "None"), ("None", "None"), ""),
        (("", ""), ("", ""), ""),
    ],
)
def test_of_names_only_the_batchs_at_another_place_decides(x_names, y_names, reason):
    sign = signature(y=(-1, -1), x_names=x_names, y_names=y_names)
    assert verdict(lambda x: x, sign) == (reason, [] if reason else [1, 2, 3, 1, 3, 4])


def fails(_):
    raise Failed("indices out of range\nand more")


def is_slow(x, monkeypatch):
    later = time.monotonic() + 6
    monkeypatch.setattr(time, "monotonic", lambda: later)
    return x


def test_a_model_that_cannot_be_tried_says_why(monkeypatch):
    with pytest.raises(CannotTry, match=r"it fails on synthetic rows: indices out of range$"):
        verdict(fails)
    with pytest.raises(CannotTry, match=r"\[16777216\] is too large"):
        verdict(lambda x: x, x=(-1, 1 << 24))
    with pytest.raises(CannotTry, match="longer than 5 s"):
        verdict(lambda x: is_slow(x, monkeypatch))


COMPLETE = {"name": "x", "data_type": "TYPE_FP32", "dims": [3]}, {"name": "y", "data_type": "TYPE_FP32", "dims": [4]}


def completed(capsys, model, own=0, tensors=None, default=64, **more):
    tensors = ([COMPLETE[0]], [COMPLETE[1]]) if tensors else ([], [])
    config = {"max_batch_size": own, "input": tensors[0], "output": tensors[1], **more}
    complete(config, signature(), default, lambda _, feed, __: [model(feed["x"])], (Failed,))
    return config["max_batch_size"], capsys.readouterr().err


def test_what_becomes_of_a_model_and_what_is_said_of_it(capsys):
    def good(x):
        return x @ WEIGHTS

    def mixes(x):
        return good(x - x.mean(0))

    assert completed(capsys, good) == (64, "")
    assert completed(capsys, good, own=8) == (8, "")
    size, line = completed(capsys, mixes)
    assert size == 0
    assert line.startswith("Model 'model' is not batched: output 'y' has other values for rows run together")
    assert line.endswith("To batch it all the same, write max_batch_size into its config.pbtxt.\n")
    for tensors in (False, True):
        size, line = completed(capsys, mixes, own=8, tensors=tensors)
        assert size == 8
        assert line.startswith(
            "Model 'model': its config.pbtxt gives max_batch_size 8, but requests that are run together"
        )
    size, line = completed(capsys, fails)
    assert size == 64
    assert line.startswith("Model 'model' is batched, though not proved to give each row its own answer: it fails on")
    assert completed(capsys, fails, own=8) == (8, "")


def test_what_is_not_tried(capsys):
    assert completed(capsys, fails, own=1) == (1, "")
    assert completed(capsys, fails, default=0) == (0, "")
    assert completed(capsys, fails, tensors=True) == (0, "")
    assert completed(capsys, fails, sequence_batching={}) == (64, "")

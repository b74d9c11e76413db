"""The onnxruntime backend: ONNX models with no config.pbtxt, or part of one, in one repository."""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import FLOAT, ONE_INSTANCE, WAIT_FOR_A_BATCH, graph, put, put_with_external_data, times
from tritonclient.utils import InferenceServerException

INT64, STRING = TensorProto.INT64, TensorProto.STRING
NUMBERS = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FLOAT16", "FLOAT", "DOUBLE"]
DTYPES = {name: getattr(TensorProto, name) for name in ["BOOL", *NUMBERS, "STRING"]}
ROWS = {"BOOL": [[True, False]], "STRING": [[b"a", "ünï-漢字".encode()]], "INT8": [[-128, 127]], "FLOAT16": [[0.5, -2]]}
PYTHON_MODEL = b"""
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [3]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [3]})
        return config

    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", array + 1)]) for array in arrays]
"""
ENSEMBLE = """
platform: "ensemble"
max_batch_size: 8
input [{ name: "x" data_type: TYPE_FP32 dims: [3] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [3] }]
ensemble_scheduling { step [
  { model_name: "plain" model_version: -1 input_map { key: "x" value: "x" } output_map { key: "y" value: "doubled" } },
  { model_name: "triple" model_version: -1 input_map { key: "x" value: "doubled" } output_map { key: "y" value: "y" } }
] }
"""
RENAMED = """
backend: "onnxruntime"
default_model_filename: "net.onnx"
"""
COMPLETE = """
max_batch_size: 8
input [{ name: "x" data_type: TYPE_FP32 dims: [3] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [3] }]
"""


def identities(tensors):
    """One output `<name>_out` for each input: the same."""
    return graph(
        [("Identity", [name], [name + "_out"]) for name in tensors],
        tensors,
        {name + "_out": spec for name, spec in tensors.items()},
    )


def lookup():
    """y = table[index]: an index above 9 is an error of ONNX Runtime."""
    table = np.arange(10, dtype=np.float32) * 10
    return graph(
        [("Gather", ["table", "index"], ["y"])],
        {"index": (INT64, ["n", 1])},
        {"y": (FLOAT, ["n", 1])},
        {"table": table},
    )


def two_by_two():
    """sum, difference = a + b, a - b"""
    tensors = {"a": (FLOAT, ["n", 2]), "b": (FLOAT, ["n", 2])}
    outputs = {"sum": (FLOAT, ["n", 2]), "difference": (FLOAT, ["n", 2])}
    return graph([("Add", ["a", "b"], ["sum"]), ("Sub", ["a", "b"], ["difference"])], tensors, outputs)


def row_sums():
    return graph(
        [("ReduceSum", ["x", "axis"], ["y"])],
        {"x": (FLOAT, ["n", "length"])},
        {"y": (FLOAT, ["n", 1])},
        {"axis": np.array([1])},
    )


def flattened():
    """Says that it batches, but gives two rows for each one."""
    return graph(
        [("Reshape", ["x", "shape"], ["y"])],
        {"x": (FLOAT, ["n", 2])},
        {"y": (FLOAT, ["m", 1])},
        {"shape": np.array([-1, 1])},
    )


def overridable():
    return graph(
        [("Mul", ["x", "factor"], ["y"])],
        {"x": (FLOAT, [2])},
        {"y": (FLOAT, [2])},
        {"factor": np.array([2, 2], np.float32)},
        overridable=["factor"],
    )


@pytest.fixture(scope="module")
def triton(tmp_path_factory, new_triton):
    repository = tmp_path_factory.mktemp("repository")
    put(repository, "plain", times(2, ["n", 3]))
    put(repository, "triple", times(3, ["n", 3]), ONE_INSTANCE)
    put(repository, "chain", None, ENSEMBLE)
    put(repository, "python", PYTHON_MODEL, file="model.py")
    put(repository, "dtypes", identities({name: (kind, ["n", "m"]) for name, kind in DTYPES.items()}), ONE_INSTANCE)
    put(repository, "two_by_two", two_by_two(), WAIT_FOR_A_BATCH % 2)
    put(repository, "lookup", lookup(), WAIT_FOR_A_BATCH % 32)
    put(repository, "text", identities({"x": (STRING, ["n", 1])}), WAIT_FOR_A_BATCH % 4)
    put(repository, "row_sums", row_sums(), WAIT_FOR_A_BATCH % 4)
    put(repository, "flattened", flattened(), ONE_INSTANCE)
    put(repository, "scalar", times(2, []), ONE_INSTANCE)
    put(repository, "vector", times(2, ["n"]), ONE_INSTANCE)
    put(repository, "unbatched", times(2, [2, 3]), ONE_INSTANCE)
    put(repository, "overridable", overridable(), ONE_INSTANCE + 'input [{ name: "factor" optional: true }]')
    put_with_external_data(repository, "external", times(2, ["n", 3]))
    put(repository, "renamed", times(2, ["n", 3]), ONE_INSTANCE + RENAMED, file="net.onnx")
    put(repository, "three", times(2, ["n", 3]), "instance_group [{ count: 3 }]")
    put(
        repository,
        "threads",
        times(2, ["n", 3]),
        ONE_INSTANCE
        + """
        parameters { key: "intra_op_thread_count" value { string_value: "1" } }
        parameters { key: "inter_op_thread_count" value { string_value: "1" } }""",
    )
    put(repository, "cached", times(2, ["n", 3]), ONE_INSTANCE + "response_cache { enable: true }")
    put(repository, "latest", times(2, ["n", 3]), ONE_INSTANCE, version=2)
    put(repository, "latest", times(10, ["n", 4]), version=10)
    put(repository, "every", times(2, ["n", 3]), ONE_INSTANCE + "version_policy { all {} }", version=2)
    put(repository, "every", times(10, ["n", 4]), version=10)
    put(repository, "batch_of_8", times(2, ["n", 3]), ONE_INSTANCE + "max_batch_size: 8")
    put(repository, "batch_of_1", times(2, ["n", 3]), ONE_INSTANCE + "max_batch_size: 1")
    put(repository, "complete", times(2, ["n", 3]), ONE_INSTANCE + COMPLETE)
    put(repository, "label", times(2, ["n", 3]), ONE_INSTANCE + 'output [{ name: "y" label_filename: "y.txt" }]')
    (repository / "label" / "y.txt").write_text("one\ntwo\nthree\n")
    put(repository, "full_dims", times(2, ["n", 3]), ONE_INSTANCE + 'input [{ name: "x" dims: [-1, 3] }]')
    put(repository, "row_dims", times(2, ["n", "m"]), ONE_INSTANCE + 'input [{ name: "x" dims: [3] }]')
    put(repository, "row_type", times(2, ["n", 3]), ONE_INSTANCE + 'input [{ name: "x" data_type: TYPE_FP32 }]')
    flags = ["--backend-config=default-max-batch-size=32", "--cache-config=local,size=1048576"]
    return new_triton(repository, *flags).start().wait_until_live()


def tensor(config, kind="input"):
    return {key: config[kind][0][key] for key in ("name", "data_type", "dims")}


def ones(*shape):
    return np.ones(shape, np.float32)


def executions(triton, model):
    return triton.metric("nv_inference_exec_count", model)


def test_every_model_is_ready(triton):
    assert set(triton.index().values()) == {("READY", "")}
    assert triton.http.get(f"{triton.url}/v2/health/ready", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("model", "max_batch_size", "dims", "out_dims"),
    [
        ("plain", 32, [3], [3]),
        ("row_sums", 4, [-1], [1]),
        ("scalar", 0, [1], [1]),
        ("vector", 32, [1], [1]),
        ("unbatched", 0, [2, 3], [2, 3]),
        ("batch_of_8", 8, [3], [3]),
        ("batch_of_1", 1, [3], [3]),
        ("complete", 8, [3], [3]),
        ("label", 32, [3], [3]),
        ("full_dims", 0, [-1, 3], [-1, 3]),
        ("row_dims", 32, [3], [-1]),
        ("row_type", 32, [3], [3]),
    ],
)
def test_the_config_is_completed(triton, model, max_batch_size, dims, out_dims):
    config = triton.config(model)
    assert config["max_batch_size"] == max_batch_size
    assert tensor(config) == {"name": "x", "data_type": "TYPE_FP32", "dims": dims}
    assert tensor(config, "output") == {"name": "y", "data_type": "TYPE_FP32", "dims": out_dims}
    assert ("dynamic_batching" in config) == (max_batch_size > 1)


def test_what_a_config_says_stays(triton):
    assert triton.config("lookup")["dynamic_batching"]["max_queue_delay_microseconds"] == 500000
    assert triton.config("label")["output"][0]["label_filename"] == "y.txt"


def test_a_label_file_names_classes(triton):
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 3, 2]}]}
    request["outputs"] = [{"name": "y", "parameters": {"classification": 1}}]
    reply = triton.http.post(f"{triton.url}/v2/models/label/infer", json=request, timeout=10)
    assert reply.json()["outputs"][0]["data"] == ["6.000000:1:two"]


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (2, 0)], ids=str)
def test_every_data_type_comes_back_as_it_was_sent(triton, shape):
    sent = {}
    for name, kind in DTYPES.items():
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        sent[name] = np.resize(np.array(ROWS.get(name, [[0, 100]]), dtype), shape)
    received = triton.infer("dtypes", **sent)
    assert len(received) == 13
    for name, array in sent.items():
        np.testing.assert_array_equal(received[name + "_out"], array, strict=True)


def test_two_inputs_and_two_outputs(triton):
    received = triton.infer("two_by_two", a=ones(1, 2) * 5, b=ones(1, 2))
    assert {name: array.tolist() for name, array in received.items()} == {"sum": [[6, 6]], "difference": [[4, 4]]}


def test_requests_of_one_batch_get_the_outputs_that_each_asked_for(triton):
    before = executions(triton, "two_by_two")
    asked = [triton.ask("two_by_two", "", [name], a=ones(1, 2) * 5, b=ones(1, 2)) for name in ("sum", "difference")]
    answers = [triton.answer(one) for one in asked]
    assert executions(triton, "two_by_two") - before == 1
    assert [list(answer) for answer in answers] == [["sum"], ["difference"]]
    assert [next(iter(answer.values())).tolist() for answer in answers] == [[[6, 6]], [[4, 4]]]


def test_a_scalar_is_sent_as_one_number(triton):
    np.testing.assert_array_equal(triton.infer("scalar", x=ones(1))["y"], ones(1) * 2, strict=True)


def test_a_batch_of_numbers_is_sent_as_one_column(triton):
    np.testing.assert_array_equal(triton.infer("vector", x=ones(3, 1))["y"], ones(3, 1) * 2, strict=True)


@pytest.mark.parametrize(("model", "shape"), [("unbatched", (2, 3)), ("full_dims", (5, 3)), ("full_dims", (0, 3))])
def test_an_unbatched_model_gets_the_whole_shape(triton, model, shape):
    np.testing.assert_array_equal(triton.infer(model, x=ones(*shape))["y"], ones(*shape) * 2, strict=True)


@pytest.mark.parametrize("model", ["external", "renamed", "threads", "cached", "batch_of_1"])
def test_models_stored_or_set_up_otherwise_answer_too(triton, model):
    assert triton.infer(model, x=ones(1, 3))["y"].tolist() == [[2, 2, 2]]


def test_no_thread_of_a_model_is_bound_to_a_processor(triton):
    threads = [int(thread.name) for pid in triton.stubs("plain") for thread in Path(f"/proc/{pid}/task").iterdir()]
    assert threads
    assert all(os.sched_getaffinity(thread) == os.sched_getaffinity(0) for thread in threads)


def test_an_initializer_can_be_an_optional_input(triton):
    assert triton.infer("overridable", x=ones(2))["y"].tolist() == [2, 2]
    assert triton.infer("overridable", x=ones(2), factor=ones(2) * 7)["y"].tolist() == [7, 7]


def test_the_latest_version_is_served(triton):
    assert triton.config("latest")["input"][0]["dims"] == [4]
    assert triton.infer("latest", x=ones(1, 4))["y"].tolist() == [[10] * 4]


def test_each_version_has_its_own_signature(triton):
    assert [triton.config("every", version)["input"][0]["dims"] for version in (2, 10)] == [[3], [4]]
    assert triton.infer("every", "2", x=ones(1, 3))["y"].tolist() == [[2] * 3]
    assert triton.infer("every", "10", x=ones(1, 4))["y"].tolist() == [[10] * 4]


def test_an_instance_is_a_process(triton):
    assert len(triton.stubs("three/1/")) == 3
    assert len(triton.stubs("triple/1/")) == 1
    assert len(triton.stubs("plain/1/")) == 2  # what Triton gives an ONNX model on the CPU


def test_onnx_models_form_an_ensemble(triton):
    assert triton.infer("chain", x=ones(1, 3))["y"].tolist() == [[6, 6, 6]]


def test_a_python_model_is_served_beside(triton):
    assert triton.infer("python", x=ones(3))["y"].tolist() == [2, 2, 2]


def test_the_response_cache_works(triton):
    for _ in range(2):
        triton.infer("cached", x=ones(1, 3) * 3)
    assert triton.metric("nv_cache_num_hits_per_model", "cached") >= 1


def test_requests_at_once_are_run_together(triton):
    counts = [triton.metric(name, "lookup") for name in ("nv_inference_count", "nv_inference_exec_count")]
    asked = [triton.ask("lookup", index=np.array([[number % 10]])) for number in range(64)]
    answers = [triton.answer(one)["y"].tolist() for one in asked]
    assert answers == [[[number % 10 * 10]] for number in range(64)]
    inferences, runs = (
        triton.metric(name, "lookup") - count
        for name, count in zip(("nv_inference_count", "nv_inference_exec_count"), counts, strict=True)
    )
    assert inferences == 64
    assert inferences / runs >= 4


def test_requests_of_several_rows_get_their_own_back(triton):
    batches = [np.array([[1], [2]]), np.array([[3]]), np.array([[4], [5], [6]])]
    asked = [triton.ask("lookup", index=batch) for batch in batches]
    assert [triton.answer(one)["y"].tolist() for one in asked] == [(batch * 10).tolist() for batch in batches]


def test_different_shapes_side_by_side(triton):
    lengths = [1, 5, 2, 5]
    asked = [triton.ask("row_sums", x=ones(1, length)) for length in lengths]
    assert [triton.answer(one)["y"].tolist() for one in asked] == [[[length]] for length in lengths]


def test_a_bad_request_among_good_ones_fails_alone(triton):
    def executed() -> float:
        before = executions(triton, "lookup")
        asked = [triton.ask("lookup", index=np.array([[index]])) for index in [1] * 15 + [99] + [2] * 16]
        with pytest.raises(InferenceServerException, match=r"model 'lookup' failed: .*Gather") as failure:
            triton.answer(asked.pop(15))
        assert failure.value.status() == "500"
        assert [triton.answer(one)["y"].tolist() for one in asked] == [[[10]]] * 15 + [[[20]]] * 16
        return executions(triton, "lookup") - before

    # On a busy machine they come too late for one batch, which is not what is asked here.
    assert any(executed() == 1 for _ in range(5))


def test_a_string_that_is_not_utf_8_fails_alone(triton):
    before = executions(triton, "text")
    asked = [triton.ask("text", x=np.array([[text]], object)) for text in (b"a", b"\xff", "漢".encode(), b"")]
    with pytest.raises(InferenceServerException, match="input 'x' holds a string that is not UTF-8") as failure:
        triton.answer(asked.pop(1))
    assert failure.value.status() == "400"
    assert [triton.answer(one)["x_out"].tolist() for one in asked] == [[[b"a"]], [["漢".encode()]], [[b""]]]
    assert executions(triton, "text") - before == 1


def test_a_model_that_gives_other_than_one_row_for_a_row_is_not_batched(triton):
    assert triton.config("flattened")["max_batch_size"] == 0
    assert triton.infer("flattened", x=ones(1, 2))["y"].tolist() == [[1], [1]]

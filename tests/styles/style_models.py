"""Small models in model repositories, as users have them for Azure ML."""

import onnx

LABELS = "red\ngreen\nblue\n"

# Its config.pbtxt follows that of densenet_onnx in Triton's examples: no batches, dims without the leading 1, reshape.
COLOURS = """
<ir_version: 9, opset_import: ["": 18]>
colours (float[1,3,24,32] data_0) => (float[1,3,1,1] fc6_1) { fc6_1 = GlobalAveragePool(data_0) }
"""
COLOURS_CONFIG = """
name: "colours"
platform: "onnxruntime_onnx"
max_batch_size: 0
input [
  {
    name: "data_0"
    data_type: TYPE_FP32
    format: FORMAT_NCHW
    dims: [ 3, 24, 32 ]
    reshape { shape: [ 1, 3, 24, 32 ] }
  }
]
output [
  {
    name: "fc6_1"
    data_type: TYPE_FP32
    dims: [ 3 ]
    reshape { shape: [ 1, 3, 1, 1 ] }
    label_filename: "labels.txt"
  }
]
instance_group [{ count: 1 }]
"""

COLOURS_LAST = """
<ir_version: 9, opset_import: ["": 18]>
colours_last (uint8[N,24,32,3] image) => (float[N,3] colour) <int64[2] axes = {1, 2}>
{
    pixels = Cast<to = 1>(image)
    colour = ReduceMean<keepdims = 0>(pixels, axes)
}
"""
COLOURS_LAST_CONFIG = """
platform: "onnxruntime_onnx"
max_batch_size: 8
input [{ name: "image" data_type: TYPE_UINT8 format: FORMAT_NHWC dims: [ 24, 32, 3 ] }]
output [{ name: "colour" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "labels.txt" }]
instance_group [{ count: 1 }]
"""

TOTALS = """
<ir_version: 9, opset_import: ["": 18]>
totals (float[N,3] rows) => (float[N,1] total) <int64[1] axes = {1}> { total = ReduceSum(rows, axes) }
"""

# The contract of BiDAF in ONNX's model zoo; the answer is from the first to the last word that the query has, too.
BIDAF = """
<ir_version: 9, opset_import: ["": 19]>
bidaf (string[c,1] context_word, string[c,1,1,16] context_char, string[q,1] query_word, string[q,1,1,16] query_char)
    => (int32[1] start_pos, int32[1] end_pos)
    <int64[1] axis_1 = {1}, int64[1] axis_2 = {2}, int64[3] down = {-1, 1, 16}, int64[3] across = {1, -1, 16}>
{
    query_row = Transpose(query_word)
    words = Equal(context_word, query_row)
    context_letters = Reshape(context_char, down)
    query_letters = Reshape(query_char, across)
    letters = Equal(context_letters, query_letters)
    letter_numbers = Cast<to = 1>(letters)
    spelled = ReduceMin<keepdims = 0>(letter_numbers, axis_2)
    word_numbers = Cast<to = 1>(words)
    matches = Mul(spelled, word_numbers)
    found = ReduceMax<keepdims = 0>(matches, axis_1)
    first = ArgMax<axis = 0>(found)
    last = ArgMax<axis = 0, select_last_index = 1>(found)
    start_pos = Cast<to = 6>(first)
    end_pos = Cast<to = 6>(last)
}
"""

FEATURES = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "text", "data_type": "TYPE_STRING", "dims": [1]})
        config.add_output({"name": "counts", "data_type": "TYPE_FP32", "dims": [3]})
        config.set_max_batch_size(16)
        return config

    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(each, "text").as_numpy()) for each in requests]

    def answer(self, texts):
        words = [text.decode().split() for text in texts.flatten()]
        if not all(words):
            message = "a text is empty"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG))
        counts = [[len(each), sum(map(str.istitle, each)), max(map(len, each))] for each in words]
        return pb_utils.InferenceResponse([pb_utils.Tensor("counts", np.array(counts, dtype=np.float32))])
"""
RATE_TEXT_CONFIG = """
platform: "ensemble"
max_batch_size: 16
input [{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }]
output [{ name: "score" data_type: TYPE_FP32 dims: [ 1 ] }]
ensemble_scheduling {
  step [
    {
      model_name: "features"
      model_version: -1
      input_map { key: "text" value: "text" }
      output_map { key: "counts" value: "counts" }
    },
    {
      model_name: "totals"
      model_version: -1
      input_map { key: "rows" value: "counts" }
      output_map { key: "total" value: "score" }
    }
  ]
}
"""

SLEEPS = """
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "rows", "data_type": "TYPE_FP32", "dims": [3]})
        config.add_output({"name": "total", "data_type": "TYPE_FP32", "dims": [1]})
        config.set_max_batch_size(64)
        config.set_dynamic_batching()
        return config

    def execute(self, requests):
        time.sleep(SECONDS)
        rows = [pb_utils.get_input_tensor_by_name(each, "rows").as_numpy() for each in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("total", each.sum(1, keepdims=True))]) for each in rows]
"""


def put_onnx(repository, name, graph, config=""):
    model = onnx.parser.parse_model(graph)
    onnx.checker.check_model(model)
    put(repository, name, "model.onnx", model.SerializeToString(), config)


def put_python(repository, name, source):
    put(repository, name, "model.py", source.encode())


def put(repository, name, file, content, config=""):
    (repository / name / "1").mkdir(parents=True)
    if file:
        (repository / name / "1" / file).write_bytes(content)
    if config:
        (repository / name / "config.pbtxt").write_text(config)


def put_pictures(repository):
    """The two image models, their labels beside them."""
    put_onnx(repository, "colours", COLOURS, COLOURS_CONFIG)
    put_onnx(repository, "colours_last", COLOURS_LAST, COLOURS_LAST_CONFIG)
    for name in ("colours", "colours_last"):
        (repository / name / "labels.txt").write_text(LABELS)


def put_totals(repository):
    """Sums of rows of three; all but the number of instances is in the file."""
    put_onnx(repository, "totals", TOTALS, "instance_group [{ count: 1 }]")
    (repository / "totals" / "units.txt").write_text("EUR per night")

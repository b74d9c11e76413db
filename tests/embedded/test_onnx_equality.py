"""Well-known networks: what Triton answers is what ONNX Runtime answers."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_models import ONE_INSTANCE, put

# The architectures of the ONNX model zoo, with constants for weights; they come with the onnx package.
LIGHT = {file.stem: file for file in Path(onnx.__file__).parent.glob("backend/test/data/light/light_*.onnx")}


@pytest.fixture(scope="module")
def triton(tmp_path_factory, new_triton):
    repository = tmp_path_factory.mktemp("repository")
    for name, file in LIGHT.items():
        put(repository, name, file.read_bytes(), ONE_INSTANCE)
    triton = new_triton(repository).start().wait_until_live()
    yield triton
    triton.stop()  # VGG-19 alone holds 0.6 GB
    shutil.rmtree(repository)


@pytest.mark.parametrize("model", sorted(LIGHT))
def test_the_answer_is_onnxruntimes_own(triton, model):
    session = onnxruntime.InferenceSession(LIGHT[model])
    random = np.random.default_rng(0)
    inputs = {node.name: random.random(node.shape, np.float32) for node in session.get_inputs()}
    expected = dict(zip([node.name for node in session.get_outputs()], session.run(None, inputs), strict=True))
    received = triton.infer(model, **inputs)
    assert received.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(received[name], array, strict=True)

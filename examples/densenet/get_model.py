"""Put DenseNet-121 into the model repository of this example: python examples/densenet/get_model.py

The onnx package carries the graph among its test data, small because every weight is computed to be 0.02.
"""

import shutil
from pathlib import Path

import onnx

GRAPH = Path(onnx.__file__).parent / "backend/test/data/light/light_densenet121.onnx"
MODEL = Path(__file__).parent / "models/triton/densenet/1/model.onnx"

if __name__ == "__main__":
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(GRAPH, MODEL)

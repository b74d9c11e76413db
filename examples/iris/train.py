"""Train the iris model, from the repository's root: python -m examples.iris.train

It needs requirements-dev.txt and requirements-embedded.txt.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.onnx_mlp import measure, to_onnx

HERE = Path(__file__).parent
MODEL_DIR = HERE.parents[1] / "models/triton/iris"
MODEL = MODEL_DIR / "1/model.onnx"


def main():
    # 150 flowers of three species: length and width of sepal and petal in cm.
    flowers, species = load_iris(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        flowers, species, test_size=0.25, random_state=0, stratify=species
    )

    pipeline = make_pipeline(StandardScaler(), MLPClassifier([8], alpha=1, max_iter=2000, random_state=0))
    pipeline.fit(train_x, train_y)

    MODEL.parent.mkdir(parents=True, exist_ok=True)
    MODEL.write_bytes(to_onnx(pipeline, "measurements").SerializeToString())
    # Triton names class n after line n of this file, from 0.
    (MODEL_DIR / "labels.txt").write_text("\n".join(load_iris().target_names) + "\n")

    accuracy = measure(MODEL, pipeline, test_x, test_y)
    _, one_of_each = np.unique(test_y, return_index=True)
    (HERE / "accuracy.json").write_text(json.dumps(accuracy, indent=2) + "\n")
    (HERE / "request.json").write_text(json.dumps({"data": test_x[one_of_each].tolist()}) + "\n")
    print(f"{accuracy['correct']} of {accuracy['held_out']} held-out flowers right")


if __name__ == "__main__":
    main()

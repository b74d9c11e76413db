"""Train the digits model, from the repository's root: python -m examples.digits.train

It needs requirements-dev.txt and requirements-embedded.txt.
"""

import json
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.onnx_mlp import measure, to_onnx

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "models/triton/digits/1/model.onnx"


def main():
    # 1797 handwritten digits of 8 x 8 pixels, each pixel 0 (paper) to 16 (ink).
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(images, digits, test_size=0.25, random_state=0, stratify=digits)

    # alpha 1 was the best of 0.0001, 0.1, 1 and 3 in a 5-fold cross-validation on the training part (0.978).
    pipeline = make_pipeline(StandardScaler(), MLPClassifier([64], alpha=1, max_iter=500, random_state=0))
    pipeline.fit(train_x, train_y)

    MODEL.parent.mkdir(parents=True, exist_ok=True)
    MODEL.write_bytes(to_onnx(pipeline, "image").SerializeToString())

    accuracy = measure(MODEL, pipeline, test_x, test_y)
    (HERE / "accuracy.json").write_text(json.dumps(accuracy, indent=2) + "\n")
    (HERE / "request.json").write_text(json.dumps({"data": test_x[:1].astype(int).tolist()}) + "\n")
    print(f"{accuracy['correct']} of {accuracy['held_out']} held-out digits right; request.json shows a {test_y[0]}")


if __name__ == "__main__":
    main()

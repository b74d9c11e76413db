"""Each example answers its own request.json, through the whole service."""

import json
import os
import re
import subprocess
import sys

import pytest
from service import ROOT

EXAMPLES = ROOT / "examples"
LABELS = (EXAMPLES / "densenet/models/triton/densenet/densenet_labels.txt").read_text().splitlines()


@pytest.fixture
def example(start):
    def answer(name: str, **env: str) -> object:
        env = {"ENTRY_SCRIPT": f"examples/{name}/score.py", **env}
        # What `make run` does first: the requirements.txt beside the script.
        subprocess.run([sys.executable, "-m", "scoregate.cli.requirements"], cwd=ROOT, env=os.environ | env, check=True)
        reply = start(**env).wait_ready().score((EXAMPLES / name / "request.json").read_bytes())
        assert reply.status_code == 200, reply.text
        return reply.json()

    return answer


def test_iris_ranks_the_labels_of_its_partial_config(example):
    answer = example("iris")
    assert [flower[0]["label"] for flower in answer] == ["setosa", "versicolor", "virginica"]
    assert [{"setosa", "versicolor", "virginica"} == {each["label"] for each in flower} for flower in answer] == [
        True
    ] * 3


def test_densenet_takes_an_image_and_answers_labels(example):
    """The graph's weights are synthetic, so the labels mean nothing; that there are three of the file's does."""
    answer = example("densenet", MODEL_DIR="examples/densenet/models")
    assert len(answer) == 3
    assert [each["label"] in LABELS for each in answer] == [True] * 3
    assert set(json.loads((EXAMPLES / "densenet/request.json").read_text())) == {"image"}  # no tensor


@pytest.mark.parametrize("number", [0, 1])
def test_the_readmes_own_scripts_answer(start, tmp_path, number):
    script = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[number]
    (tmp_path / "score.py").write_text(script)
    service = start(ENTRY_SCRIPT=tmp_path / "score.py").wait_ready()
    (probabilities,) = service.score((EXAMPLES / "digits" / "request.json").read_bytes()).json()
    assert probabilities.index(max(probabilities)) == 2


@pytest.mark.parametrize(("name", "least"), [("digits", 0.97), ("iris", 0.9)])
def test_a_training_script_makes_the_model_that_is_committed(tmp_path, name, least):
    recorded = json.loads((EXAMPLES / name / "accuracy.json").read_text())
    assert recorded["accuracy"] >= least
    copy = tmp_path / "repository"
    listed = ["examples/onnx_mlp.py", f"examples/{name}/train.py"]
    for file in listed:
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_bytes((ROOT / file).read_bytes())
    subprocess.run([sys.executable, "-m", f"examples.{name}.train"], cwd=copy, check=True, timeout=300)
    assert json.loads((copy / "examples" / name / "accuracy.json").read_text())["accuracy"] >= least

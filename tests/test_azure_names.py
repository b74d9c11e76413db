"""Azure's names beside Azure's own packages, and what a script finds in its environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scoregate.cli import serve as supervisord
from scoregate.script import azure_names
from scoregate.settings import Settings
from service import ROOT

PACKAGES = ("azureml-contrib-services==1.62.0", "azureml-inference-server-http==1.5.1", "azureml-core==1.61.0.post4")
SCRIPT = """
import os

import azureml.contrib.services
import azureml_inference_server_http.api.aml_request
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from azureml_inference_server_http.api import aml_response

assert azureml.contrib.services.rawhttp is azureml_inference_server_http.api.aml_request.rawhttp is rawhttp
assert aml_response.AMLResponse is AMLResponse


def init():
    pass


@rawhttp
def run(request):
    assert type(request) is AMLRequest
    names = ("AZUREML_MODEL_DIR", "AML_APP_ROOT", "AZUREML_ENTRY_SCRIPT")
    return AMLResponse({name: os.environ[name] for name in names}, 201, json_str=True)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install each package, without what it needs, into a directory of its own."""
    directories = {}
    for package in PACKAGES:
        name = package.partition("==")[0]
        directories[name] = str(tmp_path_factory.mktemp(name))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "--target", directories[name], package], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return directories


@pytest.mark.parametrize("package", ["azureml-contrib-services", "azureml-inference-server-http", "azureml-core", None])
def test_the_names_are_ours_beside_each_package(installed, package):
    install = "import pathlib, scoregate.script.azure_names as it; it.install(pathlib.Path('.'), pathlib.Path('.'))\n"
    env = os.environ | {"PYTHONPATH": installed.get(package, "")}
    done = subprocess.run([sys.executable, "-c", install + SCRIPT], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_azures_packages_do_not_break_the_start(start, tmp_path, installed):
    """Nor do our shorter names keep Azure's from the script's environment."""
    (tmp_path / "own.py").write_text(SCRIPT)
    ours = {"APP_ROOT": os.path.relpath(tmp_path, ROOT), "ENTRY_SCRIPT": "./own.py", "MODEL_DIR": "models"}
    service = start(TRITON="off", PYTHONPATH=":".join(installed.values()), **ours).wait_ready()
    reply = service.score("x")
    told = {
        "AZUREML_MODEL_DIR": str(ROOT / "models"),
        "AML_APP_ROOT": str(tmp_path),
        "AZUREML_ENTRY_SCRIPT": "./own.py",
    }
    assert (reply.status_code, reply.json()) == (201, told)


@pytest.mark.parametrize(
    ("given", "root", "script"),
    [
        ({}, ROOT, "examples/digits/score.py"),
        ({"AML_APP_ROOT": "examples"}, ROOT / "examples", "score.py"),
        ({"APP_ROOT": "examples", "AML_APP_ROOT": "tests"}, ROOT / "examples", "score.py"),
        ({"AZUREML_ENTRY_SCRIPT": "a/b.py"}, ROOT, "a/b.py"),
        ({"ENTRY_SCRIPT": "/a/b.py", "AZUREML_ENTRY_SCRIPT": "c.py"}, ROOT, "/a/b.py"),
    ],
)
def test_azures_names_are_set_whoever_sets_their_values(monkeypatch, given, root, script):
    monkeypatch.chdir(ROOT)
    told = supervisord.environment(Settings.from_environ(given), Path("/tmp"))
    assert (told["AML_APP_ROOT"], told["AZUREML_ENTRY_SCRIPT"]) == (str(root), script)
    assert told["AZUREML_MODEL_DIR"] == str(ROOT / "models")
    again = Settings.from_environ(given | told)  # as the service's programs read them
    assert (again.app_root, again.entry_script, again.model_dir) == (root, root / script, ROOT / "models")


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Where Model.get_model_path() finds each model, below directories as Azure ML lays them out."""
    for file in (
        "root/azureml-models/digits/9/model.onnx",
        "root/azureml-models/digits/10/model.onnx",
        "root/azureml-models/pair/1/model.onnx",
        "root/azureml-models/pair/1/labels.txt",
        "here/azureml-models/iris/1/iris.pkl",
        "here/beside.pkl",
        "models/digits/1/other.onnx",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path / "here")

    def path(name, version=None, model_dir="none", app_root="root"):
        azure_names.install(tmp_path / model_dir, tmp_path / app_root)
        return str(Path(azure_names.Model.get_model_path(name, version)).relative_to(tmp_path))

    return path


def test_models_are_found_below_azureml_models(model):
    assert model("digits") == "root/azureml-models/digits/10/model.onnx"
    assert model("digits", 9) == "root/azureml-models/digits/9/model.onnx"
    assert model("pair") == "root/azureml-models/pair/1"
    assert model("iris") == "here/azureml-models/iris/1/iris.pkl"
    assert model("beside.pkl") == "here/beside.pkl"
    assert model("digits", model_dir="models") == "models/digits/1/other.onnx"


def test_models_are_found_when_the_model_directory_is_one_of_them(model):
    one = {"model_dir": "root/azureml-models/digits/10", "app_root": "here"}
    assert model("digits", **one) == "root/azureml-models/digits/10/model.onnx"
    assert model("pair", 1, **one) == "root/azureml-models/pair/1"


def test_a_model_that_is_nowhere_is_told_with_the_places(model):
    with pytest.raises(FileNotFoundError, match=r"No model 'digits', version 2, in .*/models, which holds digits, nor"):
        model("digits", 2, model_dir="models")

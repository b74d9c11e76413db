"""docs/migrate-from-azureml.md does what it says; requirements beside a script are installed."""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile

import pytest
from service import ROOT, Service

COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```$", (ROOT / "docs/migrate-from-azureml.md").read_text(), re.S | re.M)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """The guide's own endpoint: each command of its was given, `make run` by what that does."""
    directory = tmp_path_factory.mktemp("guide")
    before, start = COMMANDS[: -len(ASKS) - 1], COMMANDS[-len(ASKS) - 1]
    for command in before:
        subprocess.run(command.replace("my-endpoint", str(directory / "my-endpoint")), shell=True, cwd=ROOT, check=True)
    *variables, make, run = shlex.split(start.replace("my-endpoint", str(directory / "my-endpoint")))
    assert (make, run) == ("make", "run")
    env = dict(variable.split("=", 1) for variable in variables)
    subprocess.run([sys.executable, "-m", "scoregate.cli.requirements"], cwd=ROOT, env=os.environ | env, check=True)
    service = Service(directory / "log", env)
    try:
        yield service.wait_ready()
    finally:
        assert service.stop() == 0, service.log.read_text()


ASKS = [command for command in COMMANDS if command.startswith("curl ")]
ANSWERS = {
    "/score": lambda text: json.loads(text)[0][0]["label"] == "setosa",
    "/": lambda text: text == "Healthy",
    "/health/ready": lambda text: json.loads(text) == {"status": "ready"},
    "/swagger.json?version=3": lambda text: json.loads(text)["openapi"] == "3.0.3",
}


@pytest.mark.parametrize("ask", ASKS)
def test_the_guides_endpoint_answers_what_the_guide_asks(endpoint, ask):
    (path,) = re.findall(r"localhost:5001(/[^\s\"]*)", ask)
    command = ask.replace("localhost:5001", f"localhost:{endpoint.port}").replace("curl ", "curl -sSf ")
    reply = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (reply.returncode, reply.stderr) == (0, "")
    assert ANSWERS[path](reply.stdout), reply.stdout


def test_the_guide_names_the_folders_and_settings_that_its_reader_has(endpoint):
    log = endpoint.log.read_text()
    assert "2 worker(s)" in log
    assert re.search(r"^    iris +1 +READY$", log, re.M)


PACKAGE = "scoregate_styles_words"


@pytest.fixture
def wheel(tmp_path):
    """A package that no one else has; removed after the test."""
    info = f"{PACKAGE}-1.0.dist-info"
    files = {
        f"{PACKAGE}.py": "WORDS = 3\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for name, text in files.items()
    }
    rows = [f"{name},sha256={digests[name]},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    path = tmp_path / f"{PACKAGE}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    yield path
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", PACKAGE], check=True)


def test_the_requirements_beside_the_script_are_installed_once(tmp_path, wheel):
    (tmp_path / "score.py").write_text("")
    (tmp_path / "requirements.txt").write_text(f"# ours\n{PACKAGE} @ {wheel.as_uri()}\n")

    def install():
        return subprocess.run(
            [sys.executable, "-m", "scoregate.cli.requirements"],
            cwd=ROOT,
            env=os.environ | {"AML_APP_ROOT": str(tmp_path), "AZUREML_ENTRY_SCRIPT": "score.py"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert install() == f"Installing {tmp_path / 'requirements.txt'}\n"
    imported = subprocess.run([sys.executable, "-c", f"import {PACKAGE} as p; print(p.WORDS)"], capture_output=True)
    assert imported.stdout == b"3\n", imported.stderr
    assert install() == ""

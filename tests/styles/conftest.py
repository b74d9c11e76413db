"""Services with the scripts of this folder, started side by side."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from service import ROOT, Service

STYLES = Path(__file__).parent


@pytest.fixture(scope="session")
def stopping():
    """Services that were told to stop; they end while the next module's start."""
    services = []
    yield services
    codes = {each.log.name: each.process.wait(60) for each in services}
    assert set(codes.values()) <= {0}, codes


@pytest.fixture(scope="module")
def start_style(tmp_path_factory, stopping):
    """Start a script of this folder, with Azure ML's names for the settings; what it requires is installed first."""
    logs = tmp_path_factory.mktemp("logs")
    started = []

    def start(style, model_dir, **env):
        env = {
            "AML_APP_ROOT": str(STYLES / style),
            "AZUREML_ENTRY_SCRIPT": "score.py",
            "AZUREML_MODEL_DIR": str(model_dir),
            **{name: str(value) for name, value in env.items()},
        }
        subprocess.run([sys.executable, "-m", "scoregate.cli.requirements"], cwd=ROOT, env=os.environ | env, check=True)
        started.append(Service(logs / f"{style}-{len(started)}", env))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
    stopping += started

"""Start the embedded Triton as supervisord does: through its launcher, on free ports."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import np_to_triton_dtype

from bench.ports import free_ports

LAUNCHER = Path(__file__).parents[2] / "embedded" / "tritonserver.py"
START_DEADLINE_S = 300  # TensorFlow takes 3 s of a core to import, in each process of each model
STOP_DEADLINE_S = 40  # Triton gives requests in flight 30 s


@dataclass
class Triton:
    repository: Path
    temporary: Path
    shm_prefix: str
    flags: tuple[str, ...] = ()
    python: str = sys.executable
    port: int = field(default_factory=lambda: free_ports(1)[0])
    metrics_port: int = field(default_factory=lambda: free_ports(1)[0])

    def start(self, cwd=None):
        self.log = self.temporary / "triton.log"
        command = [self.python, str(LAUNCHER), f"--model-repository={self.repository}"]
        command += ["--strict-model-config=false", "--exit-on-error=false", "--allow-grpc=false", "--log-info=false"]
        command += ["--http-address=127.0.0.1", f"--http-port={self.port}"]
        command += ["--metrics-address=127.0.0.1", f"--metrics-port={self.metrics_port}"]
        command += [f"--backend-config=python,shm-region-prefix-name={self.shm_prefix}", *self.flags]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                cwd=cwd,
                start_new_session=True,
            )
        self.http = requests.Session()
        self.http.headers["Connection"] = "close"  # one left open keeps a stopping Triton waiting for 30 s
        self.client = InferenceServerClient(f"127.0.0.1:{self.port}", concurrency=64)
        return self

    def wait_until_live(self):
        """Triton opens its port when it has loaded, or failed to load, every model."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.http.get(f"{self.url}/v2/health/live", timeout=5)
                return self
            except requests.ConnectionError:
                time.sleep(0.1)
        self.kill()
        raise AssertionError(f"Triton did not start, exit code {self.process.returncode}:\n{self.log.read_text()}")

    def stop(self):
        self.http.close()
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Triton did not stop in {STOP_DEADLINE_S} s:\n{self.log.read_text()}") from None

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def infer(self, model, version="", outputs=None, **inputs):
        """Ask a model; arrays in, name to array out."""
        return self.answer(self.ask(model, version, outputs, **inputs))

    def ask(self, model, version="", outputs=None, **inputs):
        """Begin to ask a model, without waiting."""
        tensors = []
        for name, array in inputs.items():
            tensors.append(InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
            tensors[-1].set_data_from_numpy(array)
        requested = outputs and [InferRequestedOutput(name) for name in outputs]
        return self.client.async_infer(model, tensors, version, requested)

    def answer(self, asked):
        result = asked.get_result()
        return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}

    def config(self, model, version=None):
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/config"
        reply = self.http.get(self.url + path, timeout=5)
        assert reply.status_code == 200, f"{reply.text}\n{self.log.read_text()}"
        return reply.json()

    def index(self):
        """State and reason of each model."""
        reply = self.http.post(f"{self.url}/v2/repository/index", timeout=5)
        assert reply.status_code == 200
        return {model["name"]: (model["state"], model.get("reason", "")) for model in reply.json()}

    def metric(self, name, model):
        text = self.http.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
        lines = [line for line in text.splitlines() if line.startswith(name + "{") and f'model="{model}"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stubs(self, model=""):
        """Process ids of this Triton's Python backend stubs, which have model's path and its prefix as arguments."""
        found = subprocess.run(
            ["pgrep", "-f", f"^[^ ]*triton_python_backend_stub .*{model}.* {self.shm_prefix}"], capture_output=True
        )
        return [int(pid) for pid in found.stdout.split()]

    def shared_memory(self):
        return sorted(region.name for region in Path("/dev/shm").glob(self.shm_prefix + "*"))


@pytest.fixture(scope="session")
def new_triton(tmp_path_factory):
    """Make a Triton that is not started yet; whatever runs at the end is stopped."""
    made = []

    def make(repository, *flags, python=sys.executable):
        prefix = f"test-{uuid.uuid4().hex[:8]}-"
        made.append(Triton(repository, tmp_path_factory.mktemp("triton"), prefix, flags, python))
        return made[-1]

    yield make
    running = [triton for triton in made if getattr(triton, "process", None) and triton.process.poll() is None]
    for triton in running:
        triton.stop()

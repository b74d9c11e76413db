"""HTTPS; a file system that is read-only but for the temporary directory."""

import os
import ssl
import subprocess
import sys

import pytest
import requests
from service import ROOT, wait_until

from bench.ports import free_ports

ECHO = "def init(): pass\ndef run(data): return data\n"


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost, and its key."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-out", files[0], "-keyout", files[1]),
        ],
        check=True,
        capture_output=True,
    )
    return files


def test_https(start, tmp_path, certificate):
    (tmp_path / "score.py").write_text(ECHO)
    cert, key = certificate
    service = start(APP_ROOT=tmp_path, TRITON="off", TLS_CERT_FILE=cert, TLS_KEY_FILE=key)
    service.wait_log(f"POST https://localhost:{service.port}/score")
    url = f"https://localhost:{service.port}"
    with requests.Session() as session:
        session.trust_env = False  # REQUESTS_CA_BUNDLE goes before verify
        session.verify = str(cert)
        for body in ("x", "y" * 1_000_000):
            assert session.post(url + "/score", body, timeout=10).json() == body
        assert session.get(url + "/health/ready", timeout=10).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, timeout=10)  # which does not know the certificate
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://localhost:{service.port}", timeout=10)
    assert ssl.get_server_certificate(("localhost", service.port)) == cert.read_text()
    assert service.stop() == 0


@pytest.mark.parametrize(("given", "missing"), [("CERT", "KEY"), ("KEY", "CERT")])
def test_half_of_what_https_needs_stops_the_start(start, certificate, given, missing):
    service = start(**{f"TLS_{given}_FILE": certificate[0]})
    assert service.wait_end() == 3
    assert service.log.read_text() == f"TLS_{given}_FILE is set, but TLS_{missing}_FILE is not. Set both, or neither.\n"


def may_remount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


# "/" read-only but for /tmp, for this program and its children alone. (Triton's Python backend knows no other place.)
READ_ONLY = 'mount --bind /tmp /tmp && mount -o remount,bind,ro / && ! touch /var/x && exec "$@"'


@pytest.mark.skipif(not may_remount(), reason="mount namespaces are not allowed here; the container tests cover it")
def test_nothing_but_tmp_has_to_be_writable(tmp_path):
    """As in a container with a read-only root file system and one tmpfs; /dev/shm is Docker's own."""
    port, triton_port, metrics_port = free_ports(3)
    env = os.environ | {
        "HOME": "/nonexistent",
        "TMPDIR": "/tmp",
        "PORT": str(port),
        "TRITON_HTTP_PORT": str(triton_port),
        "TRITON_METRICS_PORT": str(metrics_port),
        "DRAIN_SECONDS": "0",
    }
    command = [sys.executable, "-B", "-m", "scoregate.cli.serve", "-c", "supervisord.conf"]
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "sh", "-c", READ_ONLY, "sh", *command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: requests.get(url + "/health/ready", timeout=5).ok, 60, "ready", tmp_path / "log")
        body = (ROOT / "examples/digits/request.json").read_bytes()
        assert requests.post(url + "/score", body, timeout=10).ok
    finally:
        service.terminate()
        assert service.wait(30) == 0
    assert "Read-only file system" in (tmp_path / "log").read_text()

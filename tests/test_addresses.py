"""Where the service listens, where it is asked, and that no proxy comes between it and itself."""

import http.server
import os
import re
import socket
import subprocess
import sys
import threading

import pytest
import requests
from scoregate.cli import serve as supervisord
from scoregate.health import ready_banner as announcement
from scoregate.settings import SettingError, Settings
from service import ROOT

from bench.ports import free_ports

PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
WHO = (
    "\n\nimport flask\n\ndef run(data):\n    return flask.request.remote_addr if data == 'who' else run_digits(data)\n"
)


@pytest.fixture(scope="module")
def everywhere(start_module, tmp_path_factory):
    """The digits example on all addresses of both families, which tells who asks."""
    root = tmp_path_factory.mktemp("score")
    digits = (ROOT / "examples/digits/score.py").read_text().replace("def run(", "def run_digits(")
    (root / "score.py").write_text(digits + WHO)
    service = start_module(HOST="::", APP_ROOT=root, **PROXY)
    service.url = f"http://127.0.0.1:{service.port}"
    return service.wait_ready()


@pytest.fixture(scope="module")
def on_loopback(start_module):
    (health_port,) = free_ports(1)
    env = {"SEPERATE_HEALTH_ENDPOINT": "on", "HEALTH_PORT": health_port, "APP_ROOT": ROOT / "tests/scenarios/answers"}
    service = start_module(HOST="[::1]", TRITON="off", **env, **PROXY)
    service.url, service.health_port = f"http://[::1]:{service.port}", health_port
    return service.wait_ready()


def command(*arguments, **env):
    """Run Python in an environment with a proxy in it; returns the exit code and what was printed."""
    env = os.environ | PROXY | {name: str(value) for name, value in env.items()}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=150)
    return done.returncode, done.stdout + done.stderr


def test_all_addresses_of_both_families(everywhere):
    for host in ("127.0.0.1", "[::1]"):
        url = f"http://{host}:{everywhere.port}/score"
        for query in ("", "?x=1"):  # plain, and by Gunicorn's parser
            assert requests.post(url + query, "who", timeout=10).json() == host.strip("[]")
    log = everywhere.wait_log("AUTH_KEYS is not set")
    assert f"POST http://localhost:{everywhere.port}/score" in log


def test_one_address_of_ipv6(on_loopback):
    assert on_loopback.score("dict").json() == {"a": 1}
    assert requests.get(f"http://[::1]:{on_loopback.health_port}/", timeout=10).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", on_loopback.port), timeout=10)
    log = on_loopback.wait_log(f"  curl -X POST [::1]:{on_loopback.port}/score")
    assert "AUTH_KEYS is not set" not in log


def test_a_proxy_in_the_environment_does_not_touch_loopback(everywhere):
    """Nor does it in the two commands that ask the service."""
    page = requests.get(everywhere.url + "/metrics", timeout=10).text
    assert re.search(r"^nv_inference_count", page, re.MULTILINE)
    assert "scoregate_triton_up 1" in page
    here = {"HOST": "::", "PORT": everywhere.port}
    assert command("-m", "scoregate.cli.healthcheck", **here) == (0, "")
    code, told = command("examples/client/smoke.py", **here)
    assert (code, told.count("ok  ")) == (0, 5), told
    code, told = command("examples/client/smoke.py", f"http://localhost:{everywhere.port}")
    assert (code, told.count("ok  ")) == (0, 5), told


def test_a_health_check_tells_why(on_loopback):
    assert command("-m", "scoregate.cli.healthcheck", HOST="[::1]", PORT=on_loopback.port) == (0, "")
    code, told = command("-m", "scoregate.cli.healthcheck", HOST="127.0.0.1", PORT=on_loopback.port)
    assert (code, told) == (1, "[Errno 111] Connection refused\n")


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()


@pytest.mark.parametrize(
    ("host", "listens"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("localhost", "127.0.0.1"),
        ("::", "::1"),
        ("::", "127.0.0.1"),  # as in a container without ::1
        ("::1", "::1"),
        ("[::1]", "::1"),
    ],
)
def test_the_health_check_asks_where_the_service_listens(host, listens):
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    server = type("", (http.server.HTTPServer,), {"address_family": family})((listens, 0), Ready)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        assert command("-m", "scoregate.cli.healthcheck", HOST=host, PORT=server.server_port)[0] == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("[::]", "::"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::FFFF:127.0.0.1", "::ffff:127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("localhost", "localhost"),
    ],
)
def test_an_address_has_one_form(given, host):
    assert Settings.from_environ({"HOST": given}).host == host


@pytest.mark.parametrize("host", ["[127.0.0.1]", "::1:5001:x", "127.0.0.1:5001", "[::1", "fe80::1%lo", "[]"])
def test_what_is_no_address_is_refused(host):
    with pytest.raises(SettingError, match=r"^HOST='.*' is not an IP address or a name\. "):
        Settings.from_environ({"HOST": host})


@pytest.mark.parametrize(
    ("host", "warns"),
    [(host, False) for host in ("127.0.0.1", "127.8.9.1", "127.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1")]
    + [(host, True) for host in ("0.0.0.0", "::", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1")],
)
def test_a_service_open_to_all_is_one_that_is_not_on_loopback(host, warns):
    assert bool(announcement.open_to_all(Settings.from_environ({"HOST": host}))) == warns


@pytest.mark.parametrize("host", ["::", "::1", "127.0.0.1", "0.0.0.0", "localhost"])
def test_a_taken_port_is_found_at_each_address(host):
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        port = taken.getsockname()[1]
        settings = Settings.from_environ({"HOST": host, "PORT": str(port), "TRITON": "off"})
        with pytest.raises(SettingError, match=f"^PORT={port}: cannot listen on it \\(Address already in use"):
            supervisord.refuse_taken_ports(settings)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_named(host):
    settings = Settings.from_environ({"HOST": host, "PORT": str(free_ports(1)[0]), "TRITON": "off"})
    with pytest.raises(SettingError, match=f"^HOST='{host}': cannot listen on it \\("):
        supervisord.refuse_taken_ports(settings)

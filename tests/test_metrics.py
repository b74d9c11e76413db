"""/metrics: the sum over all workers, dead ones included, beside Triton's own."""

import os
import re
import signal

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from service import ROOT, wait_until


@pytest.fixture(scope="module")
def three(start_module, tmp_path_factory):
    """Three workers of the digits example, which answer with their pid when asked for it."""
    root = tmp_path_factory.mktemp("score")
    digits = (ROOT / "examples/digits/score.py").read_text().replace("def run(", "def run_digits(")
    script = (
        digits + '\n\ndef run(data):\n    import os\n    return os.getpid() if data == "pid" else run_digits(data)\n'
    )
    (root / "score.py").write_text(script)
    return start_module(APP_ROOT=root, WORKER_COUNT=3).wait_ready()


def test_requests_are_counted_over_all_workers_and_a_dead_one_is_not_forgotten(three):
    answered = 0

    def score(body: bytes | str) -> requests.Response:
        nonlocal answered
        reply = three.score(body)
        assert reply.status_code == 200
        answered += 1
        return reply

    def all_are_counted() -> bool:
        """Whether what was answered is counted, each request once. A worker counts a request after its answer."""
        return (
            answered
            == three.metric('scoregate_requests_total{route="/score",status="200"}')
            == three.metric("scoregate_script_seconds_count")
        )

    workers = wait_until(lambda: (p := {score("pid").json() for _ in range(30)}) and len(p) == 3 and p, 30, "three")
    request = (ROOT / "examples/digits/request.json").read_bytes()
    for _ in range(20):
        score(request)
    wait_until(all_are_counted, 10, "all are counted", three.log)
    os.kill(victim := workers.pop(), signal.SIGKILL)
    wait_until(lambda: three.metric("scoregate_worker_restarts_total") == 1, 30, "the restart is counted")
    assert all_are_counted()
    assert three.metric('scoregate_request_seconds_count{route="/score"}') == answered
    assert three.metric("scoregate_requests_in_flight") == 0
    assert three.metric("scoregate_build_info") == 1
    assert str(victim) not in requests.get(three.url + "/metrics", timeout=5).text


def test_requests_are_counted_by_route_and_status(three):
    def counted() -> float:
        return three.metric('scoregate_requests_total{route="none",status="404"}')

    before = counted()
    for path in ("/a", "/b"):
        requests.get(three.url + path, timeout=5)
    wait_until(lambda: counted() == before + 2, 10, "both are counted", three.log)


def test_the_page_is_prometheus_text_with_help_for_each_metric_and_tritons_own(three):
    page = requests.get(three.url + "/metrics", timeout=5)
    assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    files = [ROOT / "app/telemetry/metrics.py", ROOT / "app/web/metrics_page.py"]
    ours = {name for file in files for name in re.findall(r'"(scoregate_\w+)"', file.read_text())}
    assert ours <= set(families)
    assert [name for name in ours if len(families[name].documentation) < 20] == []
    assert families["nv_inference_count"].samples
    assert families["scoregate_triton_up"].samples[0].value == 1

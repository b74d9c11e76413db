"""More callers than places."""

import threading
from collections import Counter

import requests

SCRIPT = """
import time

def init():
    pass

def run(data):
    time.sleep(0.1)
    return data
"""
CALLERS = 40
ANSWERS = 4 * CALLERS


def test_callers_who_try_again_at_once_are_served_alike(start, tmp_path):
    """All of them would have to wait for 2 s, so half of all tries are refused."""
    (tmp_path / "score.py").write_text(SCRIPT)
    service = start(APP_ROOT=tmp_path, TRITON="off", MAX_IN_FLIGHT=2).wait_ready()
    served = Counter()

    def call(number):
        with requests.Session() as session:
            while served.total() < ANSWERS:
                if session.post(service.url + "/score", data="x", timeout=30).ok:
                    served[number] += 1

    threads = [threading.Thread(target=call, args=[number]) for number in range(CALLERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    counts = [served[number] for number in range(CALLERS)]
    assert min(counts) >= 2, counts
    assert max(counts) <= 7, counts

"""The lock of the worker that asks the models ends with that worker."""

import subprocess
import sys

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import os
import time
from scoregate.eventloop import forks
from scoregate.health.lifecycle import Lifecycle

service = Lifecycle.create(1)
forks.begin()
worker = Lifecycle(service.path)
assert worker.becomes_prober()
assert not Lifecycle(service.path).becomes_prober()
lives, end = os.pipe()
if not os.fork():
    os.close(end)
    os.read(lives, 1)
    os._exit(0)
os.close(worker._prober)  # as when the worker ends
other = Lifecycle(service.path)
until = time.monotonic() + 10
while not (held := other.becomes_prober()) and time.monotonic() < until:
    time.sleep(0.05)
os.close(end)
assert held
"""


def test_a_process_that_a_script_forks_does_not_keep_it():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr

"""Tells which process imported the script, and which one runs it."""

import os
import time

IMPORTED_IN = os.getpid()


def init():
    pass


def run(data):
    time.sleep(0.1)  # so that another worker takes the next request
    return {"imported in": IMPORTED_IN, "pid": os.getpid(), "parent": os.getppid()}

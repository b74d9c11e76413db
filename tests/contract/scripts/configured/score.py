import os


def init():
    pass


def run(data):
    return os.environ.get("SERVICE_NAME", "not in the environment")

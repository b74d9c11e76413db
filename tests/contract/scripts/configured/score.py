import os
import time


def init():
    pass


def run(data):
    if data == "entry script":
        return os.environ["AZUREML_ENTRY_SCRIPT"]
    if data == "sleep":
        time.sleep(3)
    return os.environ.get("SERVICE_NAME", "not in the environment")

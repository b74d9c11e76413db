import logging


def init():
    pass


def run(data):
    logging.getLogger("my.script").info("said through logging.json")
    return data

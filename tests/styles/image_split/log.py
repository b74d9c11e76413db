import logging


def say(text):
    logging.getLogger("pictures").info(text)

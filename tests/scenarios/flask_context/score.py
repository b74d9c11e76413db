"""Asks Flask for the request at hand, through a module of its own, as a script may where the server is Flask's."""

import helpers


def init():
    pass


def run(data):
    return helpers.describe(data)

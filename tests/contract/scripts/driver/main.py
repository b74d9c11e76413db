"""A driver, as Azure's SDK generates it: its init() counts, its run() is never called."""

import real_score as driver_module


def init():
    driver_module.DRIVEN.append("the driver's init()")


def run(data):
    return "the driver's run()"

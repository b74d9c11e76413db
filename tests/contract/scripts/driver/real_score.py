DRIVEN = []


def init():
    DRIVEN.append("the driven module's init()")


def run(data):
    return [*DRIVEN, "the driven module's run()", data]

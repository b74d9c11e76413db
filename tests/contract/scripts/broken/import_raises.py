import no_such_module  # noqa: F401


def init():
    pass


def run(data):
    return data

def init():
    pass


def run(data, /):
    return 1

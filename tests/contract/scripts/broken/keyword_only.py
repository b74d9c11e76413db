def init():
    pass


def run(*, data, more=2):
    return [data, more]

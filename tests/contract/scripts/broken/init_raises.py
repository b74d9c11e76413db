def init():
    raise ValueError("the weights are missing")


def run(data):
    return data

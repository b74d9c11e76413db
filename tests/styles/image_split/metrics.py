pictures = 0


def count():
    global pictures
    pictures += 1

class NotAPicture(ValueError):
    pass

"""What every request gets, and every route: who may come in, ids, failures as answers, the API document, metrics.

`routes` makes Flask's part, `wsgi` is the fast way for `POST /score`.
"""

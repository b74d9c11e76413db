"""Scoregate: POST /score runs the user's entry script, which asks Triton.

Nothing is imported here: supervisord and Gunicorn's master need the settings only, and must not load what belongs into
a worker after gevent has patched the standard library (see application.py).
"""

"""Deadlines, signals, forks and asyncio in a worker whose requests share one event loop.

The only user of gevent's hub and of signals. `deadline` has the time of a request, `alarm` the process's one alarm.
"""

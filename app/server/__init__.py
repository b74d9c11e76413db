"""From sockets to WSGI: Gunicorn's master and worker, the HTTP connection, the answer on its way, hanging up.

Gunicorn starts `master` and `worker`; a worker calls the WSGI application for each request.
"""

"""The commands: start the service, install a script's requirements, check the health of a container.

Run them as modules: `python3 -m scoregate.cli.serve`, `.requirements`, `.healthcheck`.
"""

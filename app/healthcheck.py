"""The old name of scoregate.cli.healthcheck, for one release."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scoregate.cli.healthcheck", run_name="__main__", alter_sys=True)

"""The old name of scoregate.cli.serve, for one release."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scoregate.cli.serve", run_name="__main__", alter_sys=True)

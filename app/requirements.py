"""The old name of scoregate.cli.requirements, for one release."""

import runpy

if __name__ == "__main__":
    runpy.run_module("scoregate.cli.requirements", run_name="__main__", alter_sys=True)

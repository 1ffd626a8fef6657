"""The name by which model cards call the training command: ``python -m sw_ref.training``. See
:mod:`headrace.train`.
"""

from runpy import run_module


if __name__ == "__main__":
    run_module("headrace.train", run_name="__main__", alter_sys=True)

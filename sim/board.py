"""The name by which README calls a simulated board: ``python -m sim.board``. See
:mod:`boards.simulated`.
"""

from runpy import run_module


if __name__ == "__main__":
    run_module("boards.simulated", run_name="__main__", alter_sys=True)

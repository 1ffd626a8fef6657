"""Fork one simulation per mutant, after cocotb has started and imported the bench.

cocotb imports this module before the bench. What takes a second is done once then: a process for
each mutant, one after the other, goes on from here. The design has not been evaluated yet, and
chooses its mutant when it first is.
"""

import atexit
import json
import os
import signal
import time
from importlib import import_module
from pathlib import Path

from cocotb_tools.check_results import get_results

from .netlist import VARIABLE


__all__ = ["NUMBERS", "VERDICTS"]


NUMBERS = "HEADRACE_MUTANTS"  # environment variable: numbers, separated by commas
VERDICTS = "mutants.json"  # for each number, whether the bench passes
RESULTS = "COCOTB_RESULTS_FILE"
PATIENCE = 5  # times the good design's run: a mutant that takes longer hangs
LEAST = 10.0  # seconds


def _passed(path):
    try:
        count, failed = get_results(path)
    except RuntimeError:
        return False  # it ended before it wrote any
    return count > 0 and not failed


def _ends(process, limit):
    """Wait for a process; it is killed after `limit` seconds. Returns whether it ended by
    itself.
    """
    end = time.monotonic() + limit
    while os.waitpid(process, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return False
        time.sleep(0.02)
    return True


def _fork(numbers):
    """Returns in a process for each number. The process that forks them never does.

    Number 0, the good design, comes first, and its results are the simulation's: unless it passes,
    nothing can be said of a mutant.
    """
    # Verilator waits for a thread that only the first process has. Last: benches have theirs, too.
    atexit.register(os._exit, 0)
    for module in os.environ["COCOTB_TEST_MODULES"].split(",")[1:]:
        import_module(module)
    results, verdicts, limit = Path(os.environ[RESULTS]), {}, float("inf")
    for number in [0, *numbers]:
        path = results.with_name(f"mutant{number}.xml") if number else results
        path.unlink(missing_ok=True)
        start = time.monotonic()
        process = os.fork()
        if not process:
            os.environ.update({VARIABLE: str(number), RESULTS: str(path)})
            if number:
                os.environ.pop("ORACLES", None)  # the good design's run says which the bench asks
            return
        verdicts[number] = _ends(process, limit) and _passed(path)
        if not number:
            if not verdicts[0]:
                break
            limit = max(LEAST, PATIENCE * (time.monotonic() - start))
    (results.parent / VERDICTS).write_text(json.dumps(verdicts))
    os._exit(0)


if NUMBERS in os.environ:
    _fork([int(number) for number in os.environ[NUMBERS].split(",")])

"""Run each test of a bench twice: first cut short by a reset, then to its end.

What a run leaves behind at a random moment, the reset with which the next one begins must undo
(:func:`sim.harness.bench.start`).
"""

import copy
import os

import cocotb
from cocotb.regression import Test, TestGenerator
from cocotb.triggers import Timer

from .bench import GARBAGE, PERIOD, rng
from .build import bench


__all__ = ["SUFFIX"]


SUFFIX = "/cut"  # of the names of runs that are cut short
LONGEST = 512  # cycles of one, after its own reset


def _cut(test):
    """A test that is the beginning of another."""

    async def begin(dut, *args, **kwargs):
        random = rng(f"cut {test.name}")
        cocotb.start_soon(test.func(dut, *args, **kwargs))
        await Timer(PERIOD * (GARBAGE + int(LONGEST ** random.random())), "ns")

    short = copy.copy(test)
    short.func, short.name = begin, test.name + SUFFIX
    return short


def _tests(module):
    for found in vars(module).values():
        if isinstance(found, (Test, TestGenerator)):
            yield from [found] if isinstance(found, Test) else found.generate_tests()


def _runs():
    for n, test in enumerate(_tests(bench(os.environ["UNIT"]))):
        # One that must fail may come to that, or not.
        if os.environ.get("DISTURBED") != "0" and not (test.expect_fail or test.expect_error):
            yield f"cut{n}", _cut(test)
        yield f"test{n}", test


globals().update(_runs())

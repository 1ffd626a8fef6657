"""Counters near their wrap, which no bench has the time to count to."""

import re

import pytest

from rtl.spec.csr import EVENT_COUNTERS
from sim.harness import build as bench_build, runner


NAMES = ("CYCLES", *EVENT_COUNTERS)
BEGAN = (1 << 32) - 100
# What a counter is in the cycle after this, in Verilog; with zero in a start and in a reset.
NEXT = re.compile(
    rf"^    \S+ += \\?(?:{'|'.join(NAMES).lower()})(?:\$\d+)? *;\n.*?^  end\n", re.M | re.S
)


def late(text):
    """Verilog of Control whose counters begin a little below 2**32."""

    def begin(block):
        changed, count = re.subn(r"= (\d+)'[hd]0+;", rf"= \1'd{BEGAN};", block[0])
        assert count == 2
        return changed

    changed, count = NEXT.subn(begin, text)
    assert count == len(NAMES)
    return changed


@pytest.fixture(scope="module")
def control():
    return bench_build.build("control", "small", variant="late", rewrite=late)


def run(control, **began):
    """Let the bench believe that counters began at these values."""
    plusargs = [f"+{name}={value}" for name, value in began.items()]
    return runner.simulate(control, only=r"\.counts", plusargs=plusargs)


@pytest.mark.seconds(5)
def test_counters_wrap(control):
    """CYCLES has a high word; the others go on from zero."""
    assert run(control, **dict.fromkeys(NAMES, BEGAN)) == 2


@pytest.mark.seconds(5)
@pytest.mark.parametrize("name", NAMES)
def test_each_is_compared(control, name):
    began = dict.fromkeys(NAMES, BEGAN)
    began[name] ^= 1 << 31
    with pytest.raises(
        bench_build.BenchError, match="control-small, seed 0: [12] of 2 tests failed: counts"
    ):
        run(control, **began)

"""Counters near their wrap, which no bench has the time to count to."""

import pytest

from sim.harness import build as bench_build, runner


ZERO = "= 64'h0000000000000000;"     # what the cycles of a run begin with, in a start and in a reset
BEGAN = (1 << 32) - 100


def late(text, bits=64):
    """Verilog of Control whose cycles begin a little below 2**32, and have so many bits."""
    assert text.count(ZERO) >= 2
    return text.replace(ZERO, f"= 64'h{BEGAN & (1 << bits) - 1:016x};")


@pytest.mark.seconds(5)
@pytest.mark.parametrize("bits, passes", [(64, True), (31, False)])
def test_cycles_have_a_high_word(bits, passes):
    built = bench_build.build("control", "small", variant=f"late{bits}",
                              rewrite=lambda text: late(text, bits))

    def run():
        return runner.simulate(built, only=r"\.counts", plusargs=[f"+began={BEGAN}"])

    if passes:
        assert run() == 2
    else:
        with pytest.raises(bench_build.BenchError, match="control-small, seed 0: [12] of 2 tests failed: counts"):
            run()

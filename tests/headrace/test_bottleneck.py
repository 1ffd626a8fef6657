"""What limits a step, of counts that are made up."""

from collections import Counter

import pytest

from headrace.library.bottleneck import limit


# A memory of a clock a cycle, that is asked half of the time.
BASE = Counter(
    {
        ("cycles",): 1000,
        ("dram", "clocks"): 1000,
        ("dram", "data"): 500,
        ("dram", "refreshing"): 20,
        ("dram", "opening"): 5,
        ("dram", "turning"): 0,
        ("dram", "spacing"): 0,
        ("dram", "idle"): 475,
        ("beats", "weight"): 500,
        ("unit", "linear", "working"): 530,
        ("unit", "linear", "starved"): 30,
        ("unit", "linear", "output"): 10,
        ("unit", "linear", "token"): 60,
        ("node", "sequencer", "program", "cycles"): 15,
        ("node", "linear", "q", "cycles"): 900,
        ("node", "vector", "silu", "cycles"): 11,
        ("node", "vector", "norm", "cycles"): 3,
    }
)
SILU = ("node", "vector", "silu", "cycles")
ATTEND = ("node", "attention", "attend", "cycles")


@pytest.mark.parametrize(
    "changes, what, figures",
    [
        ({}, "The linear core", "1.06 cycles a beat of weights, which costs 3.0 %"),
        ({("unit", "linear", "output"): 99}, "The vector unit", "VECTOR's writes in 9.9 %"),
        ({("unit", "linear", "starved"): 200}, "Latency of the memory", "in 17.5 %"),
        (
            {SILU: 40},
            "The vector unit",
            "VECTOR works in 4.3 % of the cycles, most in silu (4.0 %)",
        ),
        ({ATTEND: 50}, "Attention", "ATTENTION works in 5.0 %"),
        ({("node", "load", "gain", "cycles"): 50}, "Loads of vectors", "LOAD works in 5.0 %"),
        ({("node", "sequencer", "program", "cycles"): 90}, "The program", "in 9.0 %"),
    ],
)
def test_what_takes_most(changes, what, figures):
    found = limit(BASE | Counter(changes))
    assert found.what == what and figures in found.why
    assert "the memory is in use for 52.5 % of its clocks" in found.why


def test_memory():
    """Where it is in use, nothing else counts; its own losses are named, largest first."""
    busy = BASE | Counter({ATTEND: 500, ("dram", "data"): 930})
    busy["dram", "idle"] = 45
    found = limit(busy)
    assert found.what == "DRAM: refresh and row misses"
    assert found.why == (
        "Of the memory's clocks 93.0 % move data, 2.0 % refresh, 0.5 % row misses, "
        "4.5 % nobody asks for any."
    )
    ideal = busy | Counter({("dram", "data"): 955})
    ideal["dram", "refreshing"] = ideal["dram", "opening"] = 0
    assert limit(ideal).what == "Memory: every cycle brings a beat"

"""Every limit of :data:`rtl.spec.limits.LIMITS` has tests: at it, and one beyond.

The accelerator is tested in `tests/test_limits_rtl.py` and
`tests/test_limits_program_rtl.py`, and where a width lives in a component that
no program can take to it, in that component's bench.
"""

import ast
from functools import cache, partial

import pytest

from rtl.spec import limits
from sim.tools import ROOT


def named(path, *names, prefix="test_"):
    return [f"{path}::{prefix}{name}" for name in names]


mapper, fields, rules = (
    partial(named, f"tests/{folder}/test_limits.py") for folder in ("mapper", "rtl/spec", "sw_ref")
)
machine, program, faults = (
    partial(named, f"tests/test_{file}.py")
    for file in ("limits_rtl", "limits_program_rtl", "faults")
)
reader, writer, append, attention = (
    partial(named, f"sim/benches/{bench}.py", prefix="")
    for bench in (
        "memory/memory_reader",
        "memory/memory_writer",
        "attention/append",
        "attention/attention",
    )
)

# Tests of each limit: at it, and one beyond.
TESTS = {
    "positions": (
        machine("positions") + mapper("compile") + rules("rule"),
        mapper("compile") + rules("rule"),
    ),
    "rows": (
        machine("rows", "embedding_row") + mapper("compile"),
        mapper("compile") + fields("field"),
    ),
    "groups": (
        machine("groups") + mapper("groups") + rules("rule", "sums_of_all_groups"),
        mapper("groups") + fields("field") + rules("rule"),
    ),
    "heads": (machine("heads") + mapper("heads"), mapper("heads") + fields("field")),
    "queries": (
        machine("positions", "heads") + mapper("queries"),
        mapper("queries") + fields("field"),
    ),
    # The longest context has less of them a head: the mapper's check is given a number.
    "cache": (
        append("writes_the_lines") + attention("attends") + mapper("memory"),
        mapper("memory") + fields("field"),
    ),
    "repetitions": (
        machine("repetitions_and_inner", "heads") + mapper("compile"),
        mapper("compile") + fields("field"),
    ),
    # The machine: the largest multiple of the lanes.
    "inner": (
        machine("repetitions_and_inner") + mapper("compile"),
        mapper("compile", "inner_of_other_vectors") + fields("field"),
    ),
    "column": (machine("column") + rules("rule"), fields("field") + rules("rule")),
    "layers": (program("loops") + mapper("compile"), mapper("compile") + fields("field")),
    "tokens": (program("tokens") + rules("tokens"), program("tokens") + rules("tokens")),
    "streams": (
        named("tests/test_illegal_programs.py", "same"),
        named("tests/test_illegal_programs.py", "refused", "what_is_refused_would_hang"),
    ),
    "loops": (program("loops") + rules("loops"), faults("fault") + rules("loops")),
    "instructions": (
        program("program") + mapper("capacity") + rules("instructions"),
        faults("program_that_cannot_be_fetched") + mapper("capacity") + rules("instructions"),
    ),
    # No vector memory has 65,535 times 16 words: the machine loads the whole of the largest.
    "load": (machine("load") + mapper("load_is_long_enough"), rules("rule") + fields("field")),
    # 16 GiB are not simulated: the reader's bench has the first bursts of a request this long.
    "stream": (reader("longest_request") + mapper("memory"), mapper("memory") + fields("field")),
    # Nor are 256 GiB: the benches have addresses this high, and beyond the machine faults.
    "units": (
        reader("longest_request") + writer("highest_address") + mapper("memory") + rules("rule"),
        program("addresses", "append_does_not_wrap")
        + reader("address_fault")
        + writer("faults")
        + mapper("memory")
        + rules("rule"),
    ),
    # Nor are 2**32 beats: two streams have half as many, so a number stands for them.
    "beats": (mapper("memory"), mapper("memory")),
    "writes": (writer("outstanding"), writer("outstanding")),
}


@cache
def functions(path):
    """Names of the functions at the top of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("name", limits.LIMITS)
def test_has_tests(name):
    """They are there, and run."""
    for tests in TESTS[name]:
        assert tests
        for path, function in (test.split("::") for test in tests):
            assert function in functions(path), f"{path} has no {function}"


def test_table_has_nothing_else():
    assert TESTS.keys() == limits.LIMITS.keys()

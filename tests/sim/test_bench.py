"""Layouts to bits and back, and a runner that fails when it should."""

import subprocess
import sys

import pytest
from amaranth import *
from amaranth.lib import data

from host.errors import UserError
from sim.harness import runner
from sim.harness.bench import from_bits, to_bits
from sim.timeline import spans
from sim.tools import ROOT, environment


LAYOUT = data.StructLayout({"a": signed(4), "b": data.ArrayLayout(unsigned(3), 2), "c": 1})


@pytest.mark.parametrize(
    "value, bits",
    [
        ({"a": -1, "b": [1, 2], "c": 0}, 0b0_010_001_1111),
        ({"a": -8, "b": [7, 0], "c": 1}, 0b1_000_111_1000),
    ],
)
def test_layouts(value, bits):
    assert to_bits(LAYOUT, value) == bits and from_bits(LAYOUT, bits) == value
    assert to_bits(LAYOUT, bits) == bits
    assert LAYOUT.const(value).as_value().value == bits


@pytest.mark.parametrize(
    "shape, value, message",
    [
        (signed(4), 8, "Value must be in range(-8, 8), not 8"),
        (3, -1, "Value must be in range(0, 8), not -1"),
        (LAYOUT, {"a": 1}, "Value must have the members ['a', 'b', 'c'], not ['a']"),
    ],
)
def test_values_that_do_not_fit(shape, value, message):
    with pytest.raises(ValueError) as error:
        to_bits(shape, value)
    assert str(error.value) == message


def test_unknown_bench():
    with pytest.raises(UserError, match=r"^Unit must be one of .*, not 'nothing'$"):
        runner.run("nothing", "small")


def test_spans():
    transitions = [(5, 0b11), (8, 0b10), (9, 0b01), (12, 0)]
    assert sorted(spans(transitions, 20, "xy")) == [("x", 5, 3), ("x", 9, 3), ("y", 5, 4)]
    assert list(spans([(5, 1)], 7, "x")) == [("x", 5, 2)]


@pytest.mark.seconds(5)
def test_known_answer():
    done = subprocess.run(
        [sys.executable, "-m", "sim.known_answer"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

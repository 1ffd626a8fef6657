"""Helpers for cocotb benches: streams with gaps and stalls, and Amaranth's data layouts.

Agents drive just after a rising edge of `clk` and sample at the falling edge, when everything has
settled; a transfer that was sampled happens at the next rising edge.
"""

import json
import os
import zlib
from pathlib import Path
from random import Random

import cocotb
from amaranth.hdl import Shape
from amaranth.lib import data, enum
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge, Timer, ValueChange
from cocotb.utils import get_sim_time

from ..checkers.rules import PLACES, describe


__all__ = [
    "case",
    "rng",
    "to_bits",
    "from_bits",
    "get_port",
    "start",
    "violation",
    "cycles",
    "Source",
    "Sink",
]


PERIOD = 10  # of the clock, in nanoseconds
GARBAGE = 48  # at most so many cycles of it are before a reset
LONGEST = 1_000_000  # cycles from a reset to the end of a test


def case():
    """Name of the running case: a key of the bench's `CASES`."""
    return os.environ.get("CASE", "")


def rng(name=""):
    """A random generator that the run's seed and `name` determine."""
    return Random(f"{os.environ.get('SEED', '0')} {name}")


def to_bits(layout, value):
    """Pack `value` into an integer: ints, and dicts and sequences where `layout` nests.

    An int stands for the bits of any layout. A value that does not fit is an error.
    """
    layout = _layout(layout)
    if isinstance(layout, data.Layout) and not _is_int(value):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        keys = {key for key, _ in layout}
        items = dict(items)
        if not isinstance(layout, data.UnionLayout) and set(items) != keys:
            raise ValueError(
                f"Value must have the members {sorted(keys, key=str)}, not {sorted(items, key=str)}"
            )
        bits = 0
        for key, item in items.items():
            field = layout[key]
            bits |= to_bits(field.shape, item) << field.offset
        return bits
    shape = Shape.cast(layout)
    value = int(getattr(value, "value", value))
    low, high = (
        (-(1 << shape.width - 1), 1 << shape.width - 1)
        if shape.signed and shape.width
        else (0, 1 << shape.width)
    )
    if not low <= value < high:
        raise ValueError(f"Value must be in range({low}, {high}), not {value!r}")
    return value & (1 << shape.width) - 1


def from_bits(layout, bits):
    """Unpack an integer: dicts for structures, lists for arrays, ints (signed where the shape is)
    for everything else."""
    layout = _layout(layout)
    if isinstance(layout, data.Layout):
        items = {key: from_bits(field.shape, bits >> field.offset) for key, field in layout}
        return list(items.values()) if isinstance(layout, data.ArrayLayout) else items
    shape = Shape.cast(layout)
    bits &= (1 << shape.width) - 1
    return bits - (1 << shape.width) if shape.signed and bits >> shape.width - 1 else bits


def _layout(shape):
    # A data.Struct class stands for its layout.
    return shape.as_shape() if isinstance(shape, type) and issubclass(shape, data.Struct) else shape


def _is_int(value):
    return isinstance(value, (int, enum.Enum)) or hasattr(value, "__index__")


def get_port(dut, name):
    """Port by its Amaranth path: "o.payload" is the Verilog port `o__payload`."""
    return getattr(dut, name.replace(".", "__"))


async def start(dut, *, watch=True):
    """Start the clock, leave the design in any state, and reset it: for one cycle, inputs zero.

    What was before a reset must not matter. So registers and memories begin with random values, and
    all inputs take random ones for some cycles. Then checkers look (:mod:`sim.checkers`): what they
    find fails the test, if `watch` is set.
    """
    inputs = [getattr(dut, name) for name in filter(None, os.environ.get("INPUTS", "").split(","))]
    if not hasattr(dut, "clk"):
        for port in inputs:
            port.value = 0
        return
    dut.checking.value = 0
    Clock(dut.clk, PERIOD, "ns").start()
    random = rng(f"start {get_sim_time('step')}")
    dut.rst.value = 0
    disturbed = os.environ.get("DISTURBED") != "0"
    # The first cycle may come before what is set here.
    for _ in range(random.randrange(2, GARBAGE) if disturbed else 2):
        for port in inputs:
            # What lasts for a few cycles gets further.
            if disturbed and random.random() < 0.5:
                port.value = random.getrandbits(len(port))
        await cycles(dut)
    for port in inputs:
        port.value = 0
    dut.rst.value = 1
    await cycles(dut)
    dut.rst.value = 0
    dut.checking.value = 1
    cocotb.start_soon(_watch_time())
    if watch:
        cocotb.start_soon(_watch_checkers(dut))
    await cycles(dut)


def violation(dut):
    """What a checker has found first since the last :func:`start`, as one line; "" for nothing."""
    bits = int(dut.violation.value)
    return bits and describe(bits, json.loads(Path(PLACES).read_text())) or ""


async def _watch_time():
    limit = int(os.environ.get("LIMIT", LONGEST))
    await Timer(limit * PERIOD, "ns")
    raise AssertionError(f"has not ended after {limit} cycles")


async def _watch_checkers(dut):
    while not violation(dut):
        await ValueChange(dut.violation)
    raise AssertionError(violation(dut))


async def cycles(dut, count=1):
    """Wait until just after the `count`-th rising edge from now."""
    for _ in range(count):
        await RisingEdge(dut.clk)


class _Agent:
    def __init__(self, dut, name, layout, limit):
        self.dut, self.name, self.layout, self.limit = dut, name, layout, limit
        self._payload = get_port(dut, f"{name}.payload")
        self._valid = get_port(dut, f"{name}.valid")
        self._ready = get_port(dut, f"{name}.ready")
        self._rng = rng(zlib.crc32(name.encode()))
        self.count = 0

    async def _wait(self, what):
        """Wait until the design does its part; returns what `_look` saw of it."""
        for _ in range(self.limit):
            await FallingEdge(self.dut.clk)
            seen = self._look()
            if seen is not None:
                return seen
        raise AssertionError(f"{self.name}: {what} {self.count} after {self.limit} cycles")


class Source(_Agent):
    """Sends payloads to the stream input `name` of the design.

    Parameters
    ----------
    layout : :ref:`shape-like <amaranth:lang-shapelike>`
        Shape of the payload.
    gap : :class:`float`
        Probability of an idle cycle before each payload, and of another after it.
    limit : :class:`int`
        Cycles after which a payload that is not taken fails the test.
    """

    def __init__(self, dut, name, layout, *, gap=0.3, limit=10000):
        super().__init__(dut, name, layout, limit)
        self.gap = gap
        self._width = Shape.cast(layout).width
        self._valid.value = 0

    def _look(self):
        return int(self._ready.value) or None

    async def send(self, value):
        """Send one payload; returns once the design has taken it."""
        bits = to_bits(self.layout, value)
        while self._rng.random() < self.gap:
            await RisingEdge(self.dut.clk)
        self._payload.value = bits
        self._valid.value = 1
        await self._wait("not ready for payload")
        await RisingEdge(self.dut.clk)
        self._valid.value = 0
        # Whoever looks at a payload that is not valid gets nonsense.
        self._payload.value = self._rng.getrandbits(self._width) if self._width else 0
        self.count += 1

    async def send_all(self, values):
        """Send payloads in order."""
        for value in values:
            await self.send(value)


class Sink(_Agent):
    """Receives payloads from the stream output `name` of the design. Not ready in between.

    Parameters
    ----------
    layout : :ref:`shape-like <amaranth:lang-shapelike>`
        Shape of the payload.
    stall : :class:`float`
        Probability of a cycle that is not ready before each payload, and of another after it.
    limit : :class:`int`
        Cycles after which a payload that does not come fails the test.
    """

    def __init__(self, dut, name, layout, *, stall=0.3, limit=10000):
        super().__init__(dut, name, layout, limit)
        self.stall = stall
        self._ready.value = 0

    def _look(self):
        """Payload that the design offers, or None. A simulator's values are not ints yet."""
        return self._payload.value if int(self._valid.value) else None

    async def receive(self):
        """Receive one payload."""
        while self._rng.random() < self.stall:
            await RisingEdge(self.dut.clk)
        self._ready.value = 1
        bits = int(await self._wait("no payload"))
        await RisingEdge(self.dut.clk)
        self._ready.value = 0
        self.count += 1
        return from_bits(self.layout, bits)

    async def receive_all(self, count):
        """Receive `count` payloads."""
        return [await self.receive() for _ in range(count)]

    async def expect_all(self, values):
        """Receive payloads and compare each with the expected one as it comes."""
        for value in values:
            index, got = self.count, await self.receive()
            assert got == value, f"{self.name}: payload {index} must be {value!r}, not {got!r}"

    async def expect_none(self, count=20):
        """Fail when a payload is offered within `count` cycles."""
        for _ in range(count):
            await FallingEdge(self.dut.clk)
            assert not int(self._valid.value), f"{self.name}: unexpected payload {self.count}"
        await RisingEdge(self.dut.clk)

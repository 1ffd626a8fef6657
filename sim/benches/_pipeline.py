"""Drives arithmetic pipelines that advance with `en`, and makes fp32 patterns for them."""

import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge


__all__ = ["EDGES", "pattern", "floats", "patterns", "check"]


# Zeros, subnormals, least normals, ones with neighbours, 2**24 - 1, 2**24, largest normals,
# infinities, NaNs.
EDGES = [pattern | sign for sign in (0, 0x80000000) for pattern in (
    0x00000000, 0x00000001, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff, 0x01000000, 0x0c800000,
    0x33800000, 0x33ffffff, 0x34000000, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fffffff, 0x40000000,
    0x4b7fffff, 0x4b800000, 0x7e800000, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000)]


def pattern(random, exponents=range(256)):
    """A random fp32 pattern, often with few ones or few zeros in its fraction."""
    fraction = random.choice([
        random.getrandbits(23), random.getrandbits(3), 0x7fffff ^ random.getrandbits(3),
        1 << random.randrange(23), random.getrandbits(12) << 11])
    return random.getrandbits(1) << 31 | random.choice(exponents) << 23 | fraction


def floats(values):
    """float32 array of fp32 patterns."""
    return np.array(values, np.uint32).view(np.float32)


def patterns(values):
    """fp32 patterns, a list, of a float32 array; of every NaN 0x7fc00000."""
    values = np.asarray(values, np.float32)
    return np.where(np.isnan(values), 0x7fc00000, values.view(np.uint32)).tolist()


async def check(dut, latency, inputs, expected, random, gap=0.0):
    """Feed `inputs`, dicts from ports to patterns, and expect what belongs to them at `o`.

    Between enabled cycles are others with the probability `gap`; then `o` must stay.
    """
    ports = {name: getattr(dut, name) for name in inputs[0]}
    due = [None] * latency
    idle = {name: 0 for name in inputs[0]}
    for cycle, (values, want) in enumerate([*zip(inputs, expected), *[(idle, None)] * latency]):
        while random.random() < gap:
            dut.en.value = 0
            for port in ports.values():
                port.value = random.getrandbits(len(port))
            await RisingEdge(dut.clk)
            await FallingEdge(dut.clk)
            assert due[0] is None or int(dut.o.value) == due[0][1], f"moved in cycle {cycle}"
        dut.en.value = 1
        for name, port in ports.items():
            port.value = values[name]
        due = [*due[1:], (values, want) if want is not None else None]
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        if due[0] is not None:
            operands, want = due[0]
            assert int(dut.o.value) == want, \
                f"{ {k: hex(v) for k, v in operands.items()} } must give {want:#010x}, " \
                f"not {int(dut.o.value):#010x}"

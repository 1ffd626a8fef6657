"""Bench of the reader of descriptors."""

import cocotb
from cocotb.triggers import FallingEdge

from rtl.linear.descriptor import DescriptorReader
from rtl.spec.config import Config, get
from rtl.spec.descriptor import Contradiction, Descriptor, contradictions, fault_info
from rtl.spec.isa import WeightFormat
from rtl.spec.limits import CENTRE, GROUPS, ROWS
from rtl.spec.numbers import UNIT_BYTES

from ...harness.bench import case, cycles, get_port, rng, start


CONFIGS = {
    "small": get("small"),
    "wide": get("wide"),
    "widest": Config(name="widest", beat_bits=512, columns=1, lanes=4, formats=("S8", "SPARSE8")),
}
CASES = {name: lambda config=config: DescriptorReader(config) for name, config in CONFIGS.items()}


def value(dut, port):
    return int(get_port(dut, port).value)


async def read(dut, random, unit, rows, groups, gap):
    """Send the beats of a descriptor; returns the format and centre that are shown with the last
    one, and, in the cycle after, the fault and its info.
    """
    size = CONFIGS[case()].beat_bytes
    get_port(dut, "rows").value, get_port(dut, "groups").value = rows, groups
    for at in range(0, UNIT_BYTES, size):
        while random.random() < gap:
            get_port(dut, "beats.valid").value = 0
            get_port(dut, "beats.payload").value = random.getrandbits(8 * size)
            await cycles(dut)
        get_port(dut, "beats.valid").value = 1
        get_port(dut, "beats.payload").value = int.from_bytes(unit[at : at + size], "little")
        await FallingEdge(dut.clk)
        assert value(dut, "fault") or value(dut, "last") == (at == UNIT_BYTES - size)
        shown = value(dut, "format"), value(dut, "centre")
        await cycles(dut)
    get_port(dut, "beats.valid").value = 0
    await FallingEdge(dut.clk)
    result = *shown, value(dut, "fault"), value(dut, "fault_info")
    await cycles(dut)
    return result


def drawn(random, formats):
    """A descriptor, its numbers often the least or the most."""
    return Descriptor(
        random.choice(formats),
        random.choice([0, CENTRE, random.randint(0, CENTRE)]),
        random.choice([1, ROWS, random.randint(1, ROWS)]),
        random.choice([1, GROUPS, random.randint(1, GROUPS)]),
    )


@cocotb.test()
async def reads(dut):
    """One after the other, with gaps: all that they say is shown, and none is a fault."""
    random, formats = rng(), CONFIGS[case()].weight_formats
    await start(dut)
    for n in range(200):
        its = drawn(random, formats)
        got = await read(dut, random, its.pack(), its.rows, its.groups, gap=n % 2 / 2)
        assert got[:3] == (its.format.value, its.centre, 0), its
        await cycles(dut, random.randint(0, 2))
        assert (value(dut, "format"), value(dut, "centre")) == (its.format.value, its.centre)


def wrong(random, its):
    """The unit of a descriptor that is not quite what it should be: a bit, several, or all."""
    unit = int.from_bytes(its.pack(), "little")
    size = random.choice([Descriptor.layout.size, 8 * UNIT_BYTES])
    for bit in random.sample(range(size), random.choice([1, 1, 2, 8])):
        unit ^= 1 << bit
    if random.random() < 0.1:
        unit = random.getrandbits(8 * UNIT_BYTES)
    return unit.to_bytes(UNIT_BYTES, "little")


@cocotb.test()
async def contradicts(dut):
    """A fault says what contradicts, and stays until reset, whatever comes behind."""
    random, formats = rng(), CONFIGS[case()].weight_formats
    seen = Contradiction(0)
    await start(dut)
    for n in range(100):
        its = drawn(random, formats)
        unit = wrong(random, its)
        found = contradictions(unit, its.rows, its.groups, formats)
        *_, fault, info = await read(dut, random, unit, its.rows, its.groups, gap=n % 2 / 2)
        assert fault == bool(found), found
        seen |= found
        if found:
            assert info == fault_info(unit, found), (hex(info), found)
            good = drawn(random, formats)
            *_, fault, after = await read(dut, random, good.pack(), good.rows, good.groups, 0)
            assert (fault, after) == (1, info)
            await start(dut)
            assert not value(dut, "fault")
    assert seen == Contradiction((1 << len(Contradiction)) - 1)


@cocotb.test()
async def formats_that_there_are_none_of(dut):
    """Each number of a format: those that the configuration lacks are faults, and no others."""
    random, formats = rng(), CONFIGS[case()].weight_formats
    for number in range(1 << Descriptor.layout["format"].width):
        await start(dut)
        its = drawn(random, [WeightFormat.U4])
        unit = int.from_bytes(its.pack(), "little") ^ number << Descriptor.layout["format"].offset
        unit = unit.to_bytes(UNIT_BYTES, "little")
        *_, fault, info = await read(dut, random, unit, its.rows, its.groups, gap=0)
        lacks = number not in [fmt.value for fmt in formats]
        assert fault == lacks
        assert not lacks or info == fault_info(unit, Contradiction.FORMAT)

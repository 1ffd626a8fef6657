"""Bench of the expansion of steps."""

import cocotb

from rtl.linear.expand import Expander
from rtl.spec.config import Config, get
from rtl.spec.formats import SPARSE
from rtl.spec.isa import WeightFormat
from rtl.spec.payloads import WeightStep

from ...harness.bench import Sink, Source, case, cycles, get_port, rng, start
from ..cores._steps import StepMatrix, settle
from ._matrix import ODD, generator


PLAIN = {WeightFormat.U1, WeightFormat.U2, WeightFormat.U3, WeightFormat.U4, WeightFormat.S8}
FEW = Config(
    name="few",
    beat_bits=128,
    columns=1,
    lanes=4,
    formats=("S8", "SPARSE8"),
    patterns=("2:16", "4:16"),
)
# As the cores take them: systolic; tables, of planes of bits; chains, with slots.
UNITS = {
    "small": (get("small"), PLAIN),
    "wide": (get("wide"), PLAIN),
    "odd": (ODD, PLAIN),
    "planes": (get("small-lut"), PLAIN | {WeightFormat.TERNARY}),
    "chain": (get("wide-dspchain"), PLAIN | SPARSE),
    "few": (FEW, PLAIN),
}
CASES = {name: lambda unit=unit: Expander(*unit) for name, unit in UNITS.items()}


def matrices(config, gen):
    """All formats in turns, sparse ones with blocks of every mode."""
    n = config.rows
    shapes = [(1, 1), (4 * n + 1, 3), (17 * n, 6)]
    return [
        StepMatrix.random(config, gen, WeightFormat[name], *shape)
        for shape in shapes
        for name in config.formats
    ]


def blurred(config, matrix, random):
    """Steps as the unpacker may give them, with anything where it does not matter."""
    for step in matrix.steps:
        noise = dict(
            step,
            codes=random.getrandbits(config.beat_bits),
            index=random.getrandbits(config.beat_bits) if config.sparse else 0,
        )
        kept = settle(config, noise)  # zero where it does not matter
        yield dict(
            step, **{name: noise[name] ^ kept[name] ^ step[name] for name in ("codes", "index")}
        )


async def check(dut, gap, stall):
    config, native = UNITS[case()]
    work = matrices(config, generator(rng(f"{gap} {stall}")))
    i = Source(dut, "i", WeightStep(config), gap=gap)
    o = Sink(dut, "o", WeightStep(config), stall=stall)
    await start(dut)
    random = rng("blur")
    feed = cocotb.start_soon(
        i.send_all([step for matrix in work for step in blurred(config, matrix, random)])
    )
    for matrix in work:
        what = f"{matrix.fmt.name} of {matrix.rows} x {matrix.groups}"
        for n, want in enumerate(matrix.expanded(native)):
            got, want = settle(config, await o.receive()), settle(config, want)
            assert got == want, f"step {n} of {what} must be {want!r}, not {got!r}"
    await feed
    await o.expect_none()
    assert not int(get_port(dut, "busy").value)


@cocotb.test()
async def full_speed(dut):
    await check(dut, gap=0, stall=0)


@cocotb.test()
async def gaps_and_stalls(dut):
    await check(dut, gap=0.6, stall=0)
    await check(dut, gap=0, stall=0.6)


@cocotb.test()
async def one_substep_per_cycle(dut):
    """Steps of all formats in turns leave without a bubble, `latency` cycles after they came; what
    is inside is seen in `busy`."""
    config, native = UNITS[case()]
    unit, work = CASES[case()](), matrices(config, generator(rng()))
    i = Source(dut, "i", WeightStep(config), gap=0)
    await start(dut)
    get_port(dut, "o.ready").value = 1
    feed = cocotb.start_soon(i.send_all([step for matrix in work for step in matrix.steps]))
    await cycles(dut, unit.latency)
    for matrix in work:
        for _ in matrix.expanded(native):
            await cocotb.triggers.FallingEdge(dut.clk)
            assert int(get_port(dut, "o.valid").value)
            assert int(get_port(dut, "busy").value) == (unit.latency > 0)
            await cycles(dut)
    await feed
    await cocotb.triggers.FallingEdge(dut.clk)
    assert not int(get_port(dut, "o.valid").value) and not int(get_port(dut, "busy").value)

"""Bench of the activation buffer."""

from dataclasses import replace

import cocotb
import numpy as np

from rtl.linear.activations import ACTIVATION_READ, ActivationBuffer, Activations
from rtl.spec.config import GROUP, get
from rtl.spec.payloads import ActivationWrite

from ...harness.bench import Sink, Source, case, cycles, get_port, rng, start
from ...oracles.linear import ALIGNMENT, PRODUCTS
from ._matrix import ODD, activation_writes, activations, generator, tables


CONFIGS = {
    "small": (get("small"), 1),
    "odd": (ODD, 1),
    "twos": (ODD, 2),
    "fours": (get("small"), 4),
    "quarter": (replace(get("small"), beat_bits=32, columns=2), 1),  # as many elements as lanes
    "half": (replace(get("small"), beat_bits=64, lanes=2), 2),  # more
    "eighth": (replace(get("small"), beat_bits=16, lanes=16), 2),  # fewer
}
CASES = {name: lambda args=args: ActivationBuffer(*args) for name, args in CONFIGS.items()}


def expected(config, inputs, q, exponents, group, half, split, part):
    """Payload for a read of a vector's group, or of a part."""
    values = q.reshape(config.columns, -1, GROUP)[:, group]
    sums = PRODUCTS.expect(np.ones((1, GROUP), int), values)
    if split:
        values = np.tile(values[:, 16 * half : 16 * half + 16], 2)
    values = values.reshape(config.columns, 2, config.parts, -1)[:, :, part]
    values = values.reshape(config.columns, -1)
    return {
        "tables": tables(values, inputs).tolist(),
        "sums": sums[:, 0].tolist(),
        "shift": ALIGNMENT.expect(exponents)[0][:, group].tolist(),
    }


async def check(dut, gap, stall, groups, first):
    config, inputs = CONFIGS[case()]
    random = rng(f"{gap} {stall} {groups}")
    q, exponents = activations(config, generator(random), groups)
    write = Source(dut, "write", ActivationWrite(config), gap=gap)
    read = Source(dut, "read", ACTIVATION_READ(config), gap=gap)
    o = Sink(dut, "o", Activations(config, inputs), stall=stall)
    await write.send_all(activation_writes(config, q, exponents, first))
    await cycles(dut)  # the second of the two cycles that a write takes
    top = int(get_port(dut, "top").value)
    _, tops = ALIGNMENT.expect(exponents)
    assert [top >> 8 * c & 255 for c in range(config.columns)] == tops.tolist()

    reads = [tuple(map(random.randrange, (groups, 2, 2, config.parts))) for _ in range(3 * groups)]
    cocotb.start_soon(
        read.send_all(
            [
                {"group": first + g, "half": half, "split": split, "part": part}
                for g, half, split, part in reads
            ]
        )
    )
    await o.expect_all([expected(config, inputs, q, exponents, *what) for what in reads])
    await o.expect_none(5)


@cocotb.test()
async def vectors(dut):
    """Vectors shorter and longer than the one before, the last one as long as the buffer."""
    await start(dut)
    groups = CONFIGS[case()][0].act_groups
    for gap, stall in [(0, 0), (0.5, 0), (0, 0.5), (0.3, 0.3)]:
        await check(dut, gap, stall, 1, 0)
        await check(dut, gap, stall, 5, groups - 5)
        await check(dut, gap, stall, groups, 0)

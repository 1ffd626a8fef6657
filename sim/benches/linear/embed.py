"""Embedding look-up from packed blocks."""

import cocotb
import numpy as np

from rtl.linear.embed import Embedder
from rtl.spec.config import GROUP, get
from rtl.spec.formats import TILES, WeightFormat
from rtl.spec.payloads import WeightStep
from sim.harness.bench import Sink, Source, case, rng, start
from sim.oracles.linear import WEIGHTS


CASES = {
    "small": lambda: Embedder(get("small")),
    "wide": lambda: Embedder(get("wide")),
    "lut": lambda: Embedder(get("wide-lut")),  # steps of other formats have more rows
}


def beats(config, codes, scale):
    """Steps of a block: `codes` (block rows, K), `scale` (block rows, K / 32)."""
    n, groups, more = config.rows, scale.shape[1], config.scaled_rows - config.rows
    for tile in range(TILES):
        rows = slice(tile * n, tile * n + n)
        for g in range(groups):
            for half in range(2):
                at = g * GROUP + half * GROUP // 2
                yield {
                    "codes": int.from_bytes(codes[rows, at : at + 16].tobytes(), "little"),
                    "format": WeightFormat.S8.value,
                    "index": 0,
                    "mode": 0,
                    "beat": 0,
                    "sub": 0,
                    "scale": scale[rows, g].tolist() + [5] * more,
                    "centre": [0] * config.scaled_rows,
                    "group": g,
                    "half": half,
                    "first": int(g == half == 0),
                    "last": int(g == groups - 1 and half == 1),
                }


@cocotb.test()
async def picks_the_row(dut):
    design, random = CASES[case()](), rng()
    config = design.config
    n, m, block = config.rows, config.columns, config.block_rows
    numpy_random = np.random.default_rng(random.getrandbits(32))
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0.5, 0), (0, 0.6)]:
        command = Source(dut, "command", 20)
        weights = Source(dut, "weights", WeightStep(config), gap=gap)
        row_scales = Source(dut, "row_scales", design.row_scales.payload.shape(), gap=gap)
        accs = Sink(dut, "accs", design.accs.payload.shape(), stall=stall)
        scales = Sink(dut, "scales", design.scales.payload.shape(), stall=stall)
        for row in [0, block - 1, random.randrange(1 << 20), random.randrange(1 << 20)]:
            groups = random.randrange(1, 4)
            codes = numpy_random.integers(-128, 128, (block, groups * GROUP)).astype(np.int8)
            codes[:, :2] = -128, 127
            scale = numpy_random.integers(0, 256, (block, groups)).astype(np.uint8)
            scale[:, 0] = 255
            row_scale = numpy_random.integers(0, 1 << 32, block)
            await command.send(row)
            sending = [
                cocotb.start_soon(weights.send_all(list(beats(config, codes, scale)))),
                cocotb.start_soon(row_scales.send_all(row_scale.reshape(-1, n).tolist())),
            ]
            r = row % block
            centre = np.zeros(scale.shape, np.int8)
            want = WEIGHTS.expect(WeightFormat.S8, codes, scale, centre, 0)[r]
            for chunk in want.reshape(-1, n).tolist():
                receiving = cocotb.start_soon(scales.receive())
                got = await accs.receive()
                assert [list(c) for c in got] == [chunk] + [[0] * n] * (m - 1), (got, chunk)
                assert list(await receiving) == [int(row_scale[r])] * n
            for task in sending:
                await task

"""Embedding look-up from packed blocks."""

import cocotb
import numpy as np

from rtl.linear.embed import EMBED_COMMAND, Embedder
from rtl.spec.config import Config, get
from rtl.spec.numbers import UNIT_WORDS
from rtl.spec.payloads import WeightStep
from sim.harness.bench import Sink, Source, case, rng, start

from ..cores._steps import StepMatrix
from ._matrix import generator


FILES = "U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4"

CASES = {
    "small": lambda: Embedder(get("small")),
    "wide": lambda: Embedder(get("wide")),
    "lut": lambda: Embedder(get("wide-lut")),  # steps of other formats have more rows
    "files": lambda: Embedder(
        Config(name="files", beat_bits=256, columns=2, lanes=4, formats=FILES)
    ),
    "books": lambda: Embedder(
        Config(name="books", beat_bits=128, columns=1, lanes=4, formats=("S8", "FP4_16"))
    ),
}


@cocotb.test()
async def picks_the_row(dut):
    design, random = CASES[case()](), rng()
    config, gen = design.config, generator(random)
    n, m = config.rows, config.columns
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0.5, 0), (0, 0.6)]:
        command = Source(dut, "command", EMBED_COMMAND)
        weights = Source(dut, "weights", WeightStep(config), gap=gap)
        row_scales = Source(dut, "row_scales", design.row_scales.payload.shape(), gap=gap)
        accs = Sink(dut, "accs", design.accs.payload.shape(), stall=stall)
        scales = Sink(dut, "scales", design.scales.payload.shape(), stall=stall)
        rows = [0, UNIT_WORDS - 1, random.randrange(1 << 20), random.randrange(1 << 20)]
        for row, fmt in ((row, fmt) for row in rows for fmt in config.embed_formats):
            matrix = StepMatrix.random(config, gen, fmt, UNIT_WORDS, random.randrange(1, 4))
            await command.send({"row": row, "centre": matrix.centre_shift})
            sending = [
                cocotb.start_soon(weights.send_all(matrix.steps)),
                cocotb.start_soon(row_scales.send_all(matrix.row_scale_tiles)),
            ]
            r = row % UNIT_WORDS
            own = int(matrix.row_scale.view(np.uint32)[r])
            for chunk in matrix.integers[r].reshape(-1, n).tolist():
                receiving = cocotb.start_soon(scales.receive())
                got = await accs.receive()
                assert [list(c) for c in got] == [chunk] + [[0] * n] * (m - 1), (fmt, got, chunk)
                assert list(await receiving) == [own] * n
            for task in sending:
                await task

"""Row scaler."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from rtl.fp.format import MAX
from rtl.linear.row_scale import BIAS, RowScaler, ScaleCommand, ScaledResult
from rtl.spec.config import Config, get
from rtl.spec.limits import ACC_BITS
from sim.harness.bench import Sink, Source, case, get_port, rng, start
from sim.harness.patterns import EDGES, floats, patterns
from sim.oracles.linear import ROW_SCALE


CASES = {
    "small": lambda: RowScaler(get("small")),
    "wide": lambda: RowScaler(get("wide")),
    "columns": lambda: RowScaler(Config(name="columns", beat_bits=128, columns=16, lanes=4)),
}

LARGEST = (1 << ACC_BITS - 1) - 1
EDGE_SUMS = [
    0,
    1,
    -1,
    2**24 - 1,
    2**24 + 1,
    2**24 + 3,
    -(2**25) - 2,
    LARGEST,
    -LARGEST - 1,
    2**30 + 2**6,
]
EDGE_TOPS = [0, 1, 20, 21, 22, 127, 146, 147, 148, 149, 254, 255]  # 21: 1.99 to just below 2**-126


def matrix(random, n, m, rows, pad):
    """Sums (rows padded, M), row scales (rows padded) and top exponents (M)."""
    padded = -(-rows // pad) * pad
    sums = [
        [
            random.choice(
                [
                    random.choice(EDGE_SUMS),
                    random.randrange(-LARGEST - 1, LARGEST + 1),
                    random.randrange(-(2**20), 2**20),
                ]
            )
            for _ in range(m)
        ]
        for _ in range(padded)
    ]
    scales = [
        random.choice(
            [random.choice(EDGES), random.getrandbits(32), random.randrange(0x3F000000, 0x40000000)]
        )
        for _ in range(padded)
    ]
    tops = [random.choice([random.choice(EDGE_TOPS), random.randrange(256)]) for _ in range(m)]
    return sums, scales, tops


async def watch(dut):
    """No command is taken before the last one's results have left, all of them."""
    command, o = (
        [get_port(dut, f"{port}.{end}") for end in ("valid", "ready")] for port in ("command", "o")
    )
    payload, last, working = get_port(dut, "o.payload"), ScaledResult["last"].offset, False
    while True:
        await FallingEdge(dut.clk)
        taken, left = (all(int(end.value) for end in port) for port in (command, o))
        assert not (working and int(command[1].value)), "ready, with results to come"
        working = taken or working and not (left and int(payload.value) >> last & 1)


@cocotb.test()
async def matches_reference(dut):
    design, random = CASES[case()](), rng()
    config = design.config
    n, m = config.rows, config.columns
    await start(dut)
    cocotb.start_soon(watch(dut))
    for gap, stall in [(0, 0), (0.3, 0.3), (0, 0.5), (0.5, 0)]:
        command = Source(dut, "command", ScaleCommand)
        accs = Source(dut, "accs", design.accs.payload.shape(), gap=gap)
        row_scales = Source(dut, "row_scales", design.row_scales.payload.shape(), gap=gap)
        o = Sink(dut, "o", ScaledResult, stall=stall)
        # So many columns take long.
        sizes = (
            [1, 1, 1, 200]
            if case() == "columns"
            else [1, 4 * n, 4 * n + 1, 75, 16 * n, 16 * n + 1] * 4
        )
        for rows in sizes:
            single, column, sparse = random.randrange(2), random.randrange(m), random.randrange(2)
            sums, scales, tops = matrix(random, n, m, rows, 16 * n if sparse else 4 * n)
            dut.top.value = sum(t << 8 * k for k, t in enumerate(tops))
            await command.send({"rows": rows, "single": single, "column": column, "sparse": sparse})
            dut.top.value = random.getrandbits(8 * m)
            tiles = range(0, len(sums), n)
            sending = [
                cocotb.start_soon(
                    accs.send_all(
                        [[[sums[t + r][c] for r in range(n)] for c in range(m)] for t in tiles]
                    )
                ),
                cocotb.start_soon(row_scales.send_all([scales[t : t + n] for t in tiles])),
            ]

            columns = [column] if single else range(column + 1)
            expected = []
            results = patterns(
                ROW_SCALE.expect(np.array(sums), floats(scales)[:, None], np.array(tops))
            )
            for t in tiles:
                for c in columns:
                    expected += [
                        {
                            "value": results[r][c],
                            "row": r,
                            "column": c,
                            "last": int(r == rows - 1 and c == columns[-1]),
                        }
                        for r in range(t, t + n)
                        if r < rows
                    ]
            for want in expected:
                got = await o.receive()
                assert dict(got) == want, (got, want)
            for task in sending:
                await task


@cocotb.test()
async def around_the_limits(dut):
    """Products next to those that saturate and those that flush to zero, of either sign: at each
    limit the one that rounds up to it, and the one that does not."""
    design = CASES[case()]()
    n, m = design.config.rows, design.config.columns
    await start(dut)
    command, o = Source(dut, "command", ScaleCommand, gap=0), Sink(dut, "o", ScaledResult, stall=0)
    accs = Source(dut, "accs", design.accs.payload.shape(), gap=0)
    row_scales = Source(dut, "row_scales", design.row_scales.payload.shape(), gap=0)
    # Sums and fractions of scales: a power of two, its double less an ulp, what rounds up to a
    # power of two, and what does not.
    factors = [(1, 0), (1, 0x7FFFFF), (3, 0x2AAAAB), (3, 0x2AAAAA), (-1, 0), (-3, 0x2AAAAB)]
    for top in (0, 60, 146, 200, 255):
        exponents = [
            e
            for e in (limit + BIAS - top for limit in (-1, 0, 1, 2, 253, 254, 255, 256))
            if 0 <= e <= 255
        ]
        work = [(sum_, e << 23 | fraction) for e in exponents for sum_, fraction in factors]
        rows = len(work)
        work += [(0, 0)] * (-rows % (4 * n))
        sums, scales = (np.array(part) for part in zip(*work))
        dut.top.value = sum(top << 8 * c for c in range(m))
        await command.send({"rows": rows, "single": 1, "column": m - 1, "sparse": 0})
        tiles = range(0, len(work), n)
        sending = [
            cocotb.start_soon(source.send_all(payloads))
            for source, payloads in (
                (accs, [[sums[t : t + n].tolist()] * m for t in tiles]),
                (row_scales, [scales[t : t + n].tolist() for t in tiles]),
            )
        ]
        want = patterns(ROW_SCALE.expect(sums[:, None], floats(scales)[:, None], np.array([top])))
        for row in range(rows):
            got = await o.receive()
            assert got["value"] == want[row][0], (top, work[row], hex(got["value"]))
        values = {value & 0x7FFFFFFF for (value,) in want[:rows]}
        assert (0 if top <= 146 else MAX) in values
        for task in sending:
            await task

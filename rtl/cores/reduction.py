"""Adders of a DSP chain, with reduction nodes."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, Config
from .core import SUM_BITS
from .dsp import ECP5
from .slots import has


__all__ = ["NODES", "ReductionTree", "row_slices"]


SINGLE_BITS = 17  # of the sum of two products of whole bytes

NODES = data.StructLayout(
    {
        "two": 1,  # sums of 2 cells are rows, from 4 * quarter of each lane on
        "quarter": 2,
        "eight": 1,  # sums of 8; without any of these bits, sums of 4, from 4 * quarter on
        "load": 1,  # rows 0 and 1 are these, and otherwise, of eight, those that were loaded last
        "sixteen": 1,  # sums of 16
        "whole": 1,  # the whole chain is one row of each of its lanes
        "packed": 1,
    }
)  # a cell's product is two


def row_slices(config):
    """Rows of a lane that one payload of sums may hold, or a row and its upper half."""
    return 4 if config.sparse else 2 if config.halved else 1


class ReductionTree(wiring.Component):
    """Add the products of one chain for one column, and break the chain where a row ends.

    A tree over the sums of :data:`~rtl.spec.config.GROUP` / 2 groups of cells, and, where the chain
    serves two lanes, a second one over their high halves. Reduction nodes are where sums leave it:
    after 2, 4, 8, 16 or all cells. Where these are more than four rows of a lane, `quarter` says
    which four.

    Latency is three cycles, throughput one set of sums per cycle. A register follows every second
    level, the groups' own adders included.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    packing : :class:`~.dsp.Packing`
        How two products lie in a sum.

    Members
    -------
    totals : :py:`In(data.ArrayLayout(signed(...), 16))`
        Sums of the groups.
    nodes : :py:`In(NODES)`
        Where the chain is broken.
    rows : :py:`Out(data.ArrayLayout(data.ArrayLayout(signed(20), row_slices(config)), lanes))`
        Sums of rows of each of the chain's lanes. What the step does not have is nonsense.
    """

    LATENCY = 3

    def __init__(self, config, packing=ECP5):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.packing = config, packing
        self.lanes, self.slices = config.chain_lanes, row_slices(config)
        bits = packing.operand_bits + 9 if self.lanes == 2 else SINGLE_BITS
        super().__init__(
            {
                "totals": In(data.ArrayLayout(signed(bits), GROUP // 2)),
                "nodes": In(NODES),
                "rows": Out(
                    data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), self.slices), self.lanes)
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        lows, highs = self._halves(m)

        # Each stage's nodes, and the rows of each lane that left the tree before it.
        nodes1, nodes2 = (Signal(NODES, name=f"nodes{n}", reset_less=True) for n in (1, 2))
        m.d.sync += [nodes1.eq(self.nodes), nodes2.eq(nodes1)]
        short, later, rows = (
            [
                [
                    Signal(signed(SUM_BITS), name=f"{name}_{lane}_{n}", reset_less=True)
                    for n in range(self.slices)
                ]
                for lane in range(self.lanes)
            ]
            for name in ("short", "later", "rows")
        )

        fours, high_fours = _pairs(m, "four", lows), _pairs(m, "high_four", highs)
        for lane in range(self.lanes):
            for n in range(self.slices):
                fitting = []
                if has(config, "2:16"):
                    fitting.append(self._pick(lows, lane, n))
                if has(config, "4:16"):
                    fitting.append(self._pick(fours, lane, n))
                if fitting:
                    m.d.sync += short[lane][n].eq(Mux(self.nodes.two, fitting[0], fitting[-1]))
        fours, high_fours = _registers(m, "fours", fours), _registers(m, "high_fours", high_fours)

        eights, high_eights = _pairs(m, "eight", fours), _pairs(m, "high_eight", high_fours)
        for lane in range(self.lanes):
            own = self._of_lane(eights, lane)
            for n in range(self.slices):
                if has(config, "8:16", "2:4"):
                    # Rows 0 and 1 of a lane may have to wait for rows 2 and 3.
                    with m.If(nodes1.load | (n >= 2)):
                        m.d.sync += later[lane][n].eq(
                            Mux(nodes1.eight, own[n % len(own)], short[lane][n])
                        )
                else:
                    m.d.sync += later[lane][n].eq(short[lane][n])
        sixteens = _registers(m, "sixteens", _pairs(m, "sixteen", eights))
        high_sixteens = _registers(m, "high_sixteens", _pairs(m, "high_sixteen", high_eights))

        for lane in range(self.lanes):
            whole = sum([sixteens, high_sixteens][lane])
            ends = [sixteens[lane], high_sixteens[lane]] if self.lanes == 2 else sixteens
            for n in range(self.slices):
                row = later[lane][n]
                if n < len(ends):
                    row = Mux(nodes2.sixteen, ends[n], row) if config.sparse else ends[n]
                if n == 0:
                    row = Mux(nodes2.whole, whole, row)
                if n == 1 and config.halved:
                    row = Mux(nodes2.whole, [sixteens, high_sixteens][lane][1], row)
                m.d.sync += rows[lane][n].eq(row)
            m.d.comb += self.rows[lane].as_value().eq(Cat(rows[lane]))

        return m

    def _halves(self, m):
        """The sums of the groups, as those of each half; whole ones are low."""
        if self.lanes == 1:
            return list(self.totals), []
        lows, highs = [], []
        for n, total in enumerate(self.totals):
            low, high = self.packing.split(total)
            if len(low) < SINGLE_BITS:
                low = Cat(
                    low,
                    Mux(
                        self.nodes.packed,
                        low[-1].replicate(SINGLE_BITS - len(low)),
                        total[len(low) : SINGLE_BITS],
                    ),
                ).as_signed()
            lows.append(low[:SINGLE_BITS].as_signed())
            highs.append(high)
        return lows, highs

    def _of_lane(self, sums, lane):
        each = len(sums) // self.lanes
        return sums[lane * each : (lane + 1) * each]

    def _pick(self, sums, lane, n):
        """Row 4 * quarter + n of a lane."""
        return Array(self._of_lane(sums, lane)[n::4])[self.nodes.quarter]


def _pairs(m, name, sums):
    """Sums of neighbours."""
    pairs = []
    for n, (a, b) in enumerate(zip(sums[::2], sums[1::2])):
        pairs.append(Signal(signed(len(a) + 1), name=f"{name}_{n}"))
        m.d.comb += pairs[n].eq(a + b)
    return pairs


def _registers(m, name, sums):
    later = [Signal.like(s, name=f"{name}_{n}", reset_less=True) for n, s in enumerate(sums)]
    m.d.sync += [a.eq(b) for a, b in zip(later, sums)]
    return later

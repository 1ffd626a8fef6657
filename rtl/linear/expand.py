"""Expansion of steps for cores that do not take their format."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.skid import SkidBuffer
from ..cores.among import among
from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.isa import WeightFormat
from ..spec.numbers import LANE_BYTES
from ..spec.payloads import WeightStep
from ..spec.sparse_modes import BLOCK, INDEX_BITS, MODES, SLOTS, Mode


__all__ = ["Expander"]


LANE = 8 * LANE_BYTES  # bits
S8, TERNARY = WeightFormat.S8, WeightFormat.TERNARY


class Expander(wiring.Component):
    """Turn steps in formats that the core does not take natively into several that it does.

    - TERNARY, 2 N rows: two substeps of N rows, whose codes are nibbles in two's complement, in the
      places that they have in U4; format TERNARY.
    - SPARSE4, SPARSE8: a substep for each row of the code beat's lanes, N rows of 16 bytes, with
      zeros where the row has no slot; format S8. `sub` is the row in the lane; a code beat of n
      slots a row gives 32 / n or 16 / n of them.

    All else substeps have from their step, but `mode` and `beat` are 0, and `index` no longer
    matters. What the core takes natively passes unchanged.

    Latency is :attr:`latency` cycles, throughput one substep, or native step, per cycle.
    Backpressure is respected. When there is nothing to expand, these are wires.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator. Rows have as many slots as its `patterns` need.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats that the core takes.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a step to its first substep; 0 for wires.

    Members
    -------
    i : :py:`In(stream.Signature(WeightStep(config)))`
        Steps.
    o : :py:`Out(stream.Signature(WeightStep(config)))`
        Steps and substeps.
    busy : :py:`Out(1)`
        Holds a step, one on offer included. Low when these are wires.
    """

    def __init__(self, config, native):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.expanded = {FORMATS[fmt].step_format for fmt in config.weight_formats} - set(native)
        if config.parts > 1:  # decoded part by part, and expanded there
            self.expanded -= {TERNARY}
        left = sorted(f.name for f in self.expanded if not FORMATS[f].expands)
        if left:
            able = [f.name for f, its in FORMATS.items() if its.expands]
            raise ValueError(
                f"Formats that the core does not take must be of {', '.join(able)}, "
                f"not {', '.join(left)}"
            )
        self.latency = 3 if self.expanded else 0
        super().__init__(
            {
                "i": In(stream.Signature(WeightStep(config))),
                "o": Out(stream.Signature(WeightStep(config))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if not self.expanded:
            m.d.comb += [
                self.o.payload.eq(self.i.payload),
                self.o.valid.eq(self.i.valid),
                self.i.ready.eq(self.o.ready),
            ]
            return m

        # Skid buffer: breaks the `ready` path from the core to the expander.
        m.submodules.skid = skid = SkidBuffer(WeightStep(self.config))
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        out = skid.i

        # A step waits here until its last row has left.
        layout = WeightStep(self.config)
        names = [
            name
            for name, _ in layout
            if self._code_beats_pass or name not in ("index", "mode", "beat")
        ]
        held = Signal(layout, reset_less=True)
        rows = Signal(5, reset_less=True)  # of the step, a single bit set
        left = Signal(4, reset_less=True)  # after the one in front
        row = Signal(layout, reset_less=True)  # the one that was in front
        valid = Signal(2)
        move = Signal()
        m.d.comb += [
            move.eq(~out.valid | out.ready),
            self.i.ready.eq(~valid[0] | move & (left == 0)),
            self.busy.eq(valid.any() | self.o.valid),
        ]
        with m.If(move):
            m.d.sync += [
                valid[1].eq(valid[0]),
                out.valid.eq(valid[1]),
                left.eq(left - 1),
                held.sub.eq(held.sub + 1),
            ]
            m.d.sync += [row[name].eq(held[name]) for name in names]
            m.d.sync += [out.p[name].eq(row[name]) for name in names]
        with m.If(self.i.ready):
            first = self._rows_of(self.i.p)
            m.d.sync += [
                held.eq(self.i.payload),
                rows.eq(first),
                left.eq(first - 1),
                valid[0].eq(self.i.valid),
            ]
            with m.If(among(self.i.p.format, self.expanded & SPARSE)):
                # Rows of the block's code beats before.
                m.d.sync += held.sub.eq(
                    reduce(or_, (Mux(first[n], self.i.p.beat << n, 0) for n in range(len(first))))
                )
        if self.expanded & SPARSE:
            self._scatter(m, held, rows, row, out.p, move)
        if TERNARY in self.expanded:
            with m.If(move & (held.format == TERNARY)):
                m.d.sync += row.codes.eq(self._nibbles(m, held))

        return m

    @property
    def _code_beats_pass(self):
        """Some of the sparse formats are native."""
        return any(f.name in self.config.formats for f in SPARSE - self.expanded)

    def _rows_of(self, step):
        """Substeps of a step, a power of two."""
        rows = C(1, 5)
        for fmt in sorted(self.expanded, key=lambda f: f.value):
            its = FORMATS[fmt]
            if not its.sparse:
                rows = Mux(step.format == fmt, its.step_slices(), rows)
                continue
            for mode, slots in SLOTS.items():
                if slots:
                    rows = Mux(
                        (step.format == fmt) & (step.mode == mode), its.step_slices(mode), rows
                    )
        return rows

    def _nibbles(self, m, held):
        """Codes of the N rows of TERNARY in front: zero has one bit of two, and becomes 0000."""
        codes = Signal(self.config.word_bits // 2, name="half")
        m.d.comb += codes.eq(held.codes.word_select(held.sub[0], len(codes)))
        nibbles = []
        for n in range(self.config.rows):
            low, high = codes[64 * n : 64 * n + 32], codes[64 * n + 32 : 64 * n + 64]
            for k in range(16):
                for element in (k, 16 + k):
                    nibbles += [low[element] == high[element], *[~low[element]] * 3]
        return Cat(nibbles)

    def _scatter(self, m, held, rows, row, out, move):
        """Sparse rows: first their slots, as bytes, and the slots' elements; then, over what goes
        from `row` to `out` otherwise, the row's 16 elements."""
        size = self.config.rows
        counts = [SLOTS[MODES[pattern]] for pattern in self.config.patterns]
        slots = max(counts, default=0)

        # How far into the lane the row's codes and index are, in bytes.
        at, index_at = Signal(4, reset_less=True), Signal(4, reset_less=True)
        elements = Signal(data.ArrayLayout(data.ArrayLayout(4, slots), size), reset_less=True)
        spread, sparse, pairs = Signal(reset_less=True), Signal(), Signal()
        m.d.comb += [
            sparse.eq(among(held.format, self.expanded & SPARSE)),
            pairs.eq((held.mode == Mode.PAIRS) if "2:4" in self.config.patterns else 0),
        ]
        with m.If(move):
            m.d.sync += [
                at.eq(at + rows[::-1]),
                index_at.eq(
                    index_at
                    + self._by_mode(
                        held.mode,
                        {mode: SLOTS[mode] * INDEX_BITS[mode] // 8 for mode in MODES.values()},
                    )
                ),
                spread.eq(sparse & (held.mode != Mode.DENSE)),
            ]
        with m.If(self.i.ready):
            m.d.sync += [at.eq(0), index_at.eq(0)]

        wide = Signal()
        m.d.comb += wide.eq(among(held.format, [f for f in SPARSE if FORMATS[f].code_bits == 8]))
        used = [Signal(name=f"used_{j}") for j in range(BLOCK)]
        m.d.comb += [
            used[j].eq(self._by_mode(held.mode, {mode: count > j for mode, count in SLOTS.items()}))
            for j in range(BLOCK)
        ]
        packed, placed = [], []
        for lane in range(size):
            codes, index = (Signal(LANE, name=f"{name}_{lane}") for name in ("codes", "index"))
            m.d.comb += [
                codes.eq(align(held.codes.word_select(lane, LANE), at)),
                index.eq(align(held.index.word_select(lane, LANE), index_at)),
            ]
            for j in range(BLOCK):
                code = Signal(signed(8), name=f"code_{lane}_{j}")
                m.d.comb += code.eq(
                    Mux(wide, codes.word_select(j, 8), codes.word_select(j, 4).as_signed())
                )
                packed.append(Mux(used[j], code, 0)[:8])
            with m.If(move):
                for j in range(slots):
                    m.d.sync += elements[lane][j].eq(
                        Mux(
                            pairs,
                            Cat(index.word_select(j, 2), C(j // 2, 2)),
                            index.word_select(j, 4),
                        )
                    )
            slot = [Signal(8, name=f"slot_{lane}_{j}") for j in range(slots)]
            m.d.comb += [
                slot[j].eq(row.codes.word_select(BLOCK * lane + j, 8)) for j in range(slots)
            ]
            for k in range(BLOCK):
                byte = Signal(8, name=f"byte_{lane}_{k}")
                m.d.comb += byte.eq(
                    reduce(
                        or_, (Mux(elements[lane][j] == k, slot[j], 0) for j in range(slots)), C(0)
                    )
                )
                placed.append(byte)
        with m.If(move & sparse):
            m.d.sync += [
                row.codes.eq(Cat(packed)),
                row.format.eq(S8),
                row.mode.eq(0),
                row.beat.eq(0),
            ]
        with m.If(move & spread):
            m.d.sync += out.codes.eq(Cat(placed))

    def _by_mode(self, mode, values):
        """Value, of one for each mode, of the mode in front."""
        chosen = C(0)
        for key, value in values.items():
            if value:
                chosen = Mux(mode == key, value, chosen)
        return chosen


def align(lane, offset):
    """Bring byte `offset` of a lane to its lowest byte. A row's bytes are as many as divide the
    offset: what lies above them does not matter, and is not moved."""
    for n in reversed(range(len(offset))):
        size = 8 << n
        lane = Cat(Mux(offset[n], lane[size : 2 * size], lane[:size]), lane[size:])
    return lane

"""Sparse DSP chain linear core."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, Config
from ..spec.isa import WeightFormat
from ..spec.sparse import BLOCK, SLOTS, Mode
from .dsp import ECP5, DspGroup
from .output import OutputQueue, capacity
from .reduction import NODES, ReductionTree, row_slices
from .slots import CHAIN_WEIGHTS, SlotSelect, elements, lanes_of_chain
from .systolic import SUM_BITS


__all__ = ["DspChainCore"]


class DspChainCore(wiring.Component):
    """Multiply steps, dense or sparse, with activations: chains of multipliers, exact in integers.

    After FlightLLM (arXiv:2401.03868). A chain is :data:`~rtl.spec.config.GROUP` cells, each with a
    multiplier, added up along K. A sparse multiplexer before a cell picks the activation that its
    weight's index names; reduction nodes break the chain where a row of a block ends. A beat of one
    lane has one chain per column; of more lanes, a chain serves two, and where both of a cell's weights
    go with one activation, its multiplier does both products (:class:`~.dsp.Packing`). So 32 products of
    4-bit weights per lane, column and cycle take 32 multipliers at one lane, and 16 at more.

    Per step, row and column, the sum over the elements of (2 * code - 15) * act in U4 and of code * act
    in all else. Row p * N + l of a payload is row p of lane l. TERNARY comes as nibbles in two's
    complement, in the order of U4. Codes of sparse blocks come as they lie in memory.

    Latency is :attr:`latency` cycles, throughput :meth:`passes` cycles per step; payloads of a
    step come one after the other. Backpressure is respected: the chains themselves never stop, but
    take only steps for whose sums there is room in the queue behind them.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator. The hardware has what its `formats` and `patterns` need.
    packing : :class:`~.dsp.Packing`
        The family's: how a multiplier does two products.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a step's operands to its first sums, or in SPARSE4 to half a payload.
    capacity : :class:`int`
        Payloads of sums that the core holds at most, and so steps.
    inputs : :class:`int`
        Activations per table of `acts`: 1, they come as they are.
    lanes : :class:`int`
        Rows of a payload of sums.
    native : frozenset of :class:`~rtl.spec.isa.WeightFormat`
        Formats whose steps it takes as they come from memory.

    Members
    -------
    weights : :py:`In(stream.Signature(CHAIN_WEIGHTS(config)))`
        Steps. Taken together with `acts`, in the last of their passes.
    acts : :py:`In(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(8), 32), columns)))`
        Activations of each column; S8 and sparse formats have theirs in the first 16. Taken
        together with `weights`.
    sums : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(20), lanes), columns)))`
        :meth:`outputs` payloads per step, by column and row. Rows that a step does not have are
        nonsense.
    """
    def __init__(self, config, packing=ECP5):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.packing = config, packing
        self.native = frozenset(WeightFormat[name] for name in config.formats
                                if name in ("U4", "S8", "SPARSE4", "SPARSE8"))
        self.inputs, self.lanes = 1, row_slices(config) * config.rows
        # Slots, operands, chains, tree, queue.
        self.latency = 2 + DspGroup.LATENCY + ReductionTree.LATENCY + 1
        self.capacity = capacity(self.latency)
        super().__init__({
            "weights": In(stream.Signature(CHAIN_WEIGHTS(config))),
            "acts":    In(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), config.columns))),
            "sums":    Out(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), self.lanes), config.columns))),
        })

    def outputs(self, fmt, mode=Mode.ZERO):
        """Payloads of sums of a step of format `fmt`, and in sparse formats of `mode`."""
        if fmt not in (WeightFormat.SPARSE4, WeightFormat.SPARSE8):
            return 1
        rows = (32 if fmt == WeightFormat.SPARSE4 else 16) // SLOTS[mode]
        return -(-rows // 4)

    def passes(self, fmt, mode=Mode.ZERO):
        """Cycles of a step. The slots of two lanes are more than a chain has cells, but in a dense
        block a cell does two."""
        halves = 2 if fmt == WeightFormat.SPARSE4 and mode != Mode.DENSE else 1
        return max(self.outputs(fmt, mode), halves if lanes_of_chain(self.config) == 2 else 1)

    def elaborate(self, platform):
        m = Module()

        m.submodules.results = results = OutputQueue(self.sums.p.shape(), latency=self.latency)
        wiring.connect(m, results.o, wiring.flipped(self.sums))
        go = Signal()
        part, last, upper, half, nodes = self._passes(m)
        m.d.comb += [
            go.eq(self.weights.valid & self.acts.valid & results.room),
            self.weights.ready.eq(self.acts.valid & results.room & last),
            self.acts.ready.eq(self.weights.valid & results.room & last),
            results.enter.eq(go & ~half),
        ]
        with m.If(go):
            m.d.sync += part.eq(Mux(last, 0, part + 1))

        # The nodes that belong to a pass follow it: to the operands, and then past the multipliers.
        later = []
        for n in range(2 + DspGroup.LATENCY):
            later.append(Signal(NODES, name=f"nodes_{n}", reset_less=True))
            m.d.sync += later[n].eq(later[n - 1] if n else nodes)

        m.submodules.slots = slots = SlotSelect(self.config)
        m.d.comb += [slots.weights.eq(self.weights.payload), slots.upper.eq(upper)]
        acts = Signal.like(self.acts.payload, reset_less=True)
        m.d.sync += acts.eq(self.acts.payload)

        operands = self._operands(m, slots.cells)
        columns, rows = range(self.config.columns), range(self.lanes)
        sums = [self._column(m, c, operands, slots.cells, acts[c], later) for c in columns]
        m.d.comb += results.i.as_value().eq(Cat(sums[c][n] for c in columns for n in rows))

        return m

    def _passes(self, m):
        """What the current pass over the step in front does.

        Returns the number of the pass, whether it is the step's last one, whether it takes the
        upper slots, whether its sums are half a payload, and where the chain is broken.
        """
        step, paired = self.weights.p, lanes_of_chain(self.config) == 2

        def is_format(name):
            return step.format == WeightFormat[name] if name in self.config.formats else C(0)

        def is_mode(*modes):
            return sparse & step.mode.matches(*(int(mode) for mode in modes)) if self.config.sparse else C(0)

        n4 = is_format("SPARSE4")
        sparse = n4 | is_format("SPARSE8")
        whole = is_format("U4") | is_format("TERNARY")
        two, dense, eight = is_mode(Mode.N2), is_mode(Mode.DENSE), is_mode(Mode.N8, Mode.PAIRS)

        part, count, nodes = Signal(2), Signal(range(1, 5)), Signal(NODES)
        m.d.comb += [
            nodes.two.eq(two),
            nodes.quarter.eq(part[0] & two if paired else part),
            nodes.eight.eq(eight),
            nodes.load.eq(~(eight & part[0])),
            nodes.sixteen.eq(dense | ~(whole | sparse)),
            nodes.whole.eq(whole),
            nodes.packed.eq(whole | n4 & dense),
            count.eq(1),
        ]
        for fmt in (WeightFormat.SPARSE4, WeightFormat.SPARSE8):
            for mode in Mode:
                if fmt.name in self.config.formats and mode != Mode.ZERO:
                    with m.If((step.format == fmt) & (step.mode == int(mode))):
                        m.d.comb += count.eq(self.passes(fmt, mode))
        upper = n4 & Mux(two, part[1], part[0]) if paired else C(0)
        half = n4 & eight & ~part[0] if paired else C(0)
        return part, part + 1 == count, upper, half, nodes

    def _operands(self, m, cells):
        """Operand registers, which the columns share."""
        operands = []
        for n, cell in enumerate(cells):
            if lanes_of_chain(self.config) == 2:
                value = self.packing.operand(cell.low, cell.high)
            else:
                value = cell.low if n % GROUP < BLOCK else cell.low[:5].as_signed()
            operands.append(Signal(signed(len(value)), name=f"operand_{n}", reset_less=True))
            m.d.sync += operands[n].eq(value)
        return operands

    def _column(self, m, column, operands, cells, acts, nodes):
        """Chains of one column. Returns its sums in the order of a payload's rows."""
        chosen = []
        for n, cell in enumerate(cells):
            chosen.append(Signal(signed(8), name=f"act_{column}_{n}", reset_less=True))
            m.d.sync += chosen[n].eq(self._act(n % GROUP, cell.element, acts, nodes[0].whole))

        lanes = []
        for chain in range(len(cells) // GROUP):
            m.submodules[f"tree_{column}_{chain}"] = tree = ReductionTree(self.config, self.packing)
            m.d.comb += tree.nodes.eq(nodes[-1])
            for n in range(GROUP // 2):
                pair = slice(chain * GROUP + 2 * n, chain * GROUP + 2 * n + 2)
                bits = max(map(len, operands[pair]))
                m.submodules[f"group_{column}_{chain}_{n}"] = group = DspGroup(bits)
                m.d.comb += [group.operands[i].eq(o) for i, o in enumerate(operands[pair])]
                m.d.comb += [group.acts[i].eq(a) for i, a in enumerate(chosen[pair])]
                m.d.comb += tree.totals[n].eq(group.total)
            lanes += list(tree.rows)
        return [rows[n] for n in range(row_slices(self.config)) for rows in lanes]

    def _act(self, cell, element, acts, whole):
        """Activation of a cell: the sparse multiplexer."""
        own, choices = acts[cell], elements(self.config, cell)
        if not choices:
            return own
        act = Cat(acts[n] for n in choices).word_select(element[:(len(choices) - 1).bit_length()], 8)
        return act.as_signed() if cell < BLOCK else Mux(whole, own, act.as_signed())

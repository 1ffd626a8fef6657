"""Sparse DSP chain linear core."""

from functools import reduce
from operator import or_

from amaranth import *

from ..bus.delay import delayed
from ..spec.config import SIX_BITS
from ..spec.formats import FORMATS, SPARSE
from ..spec.isa import WeightFormat
from ..spec.numbers import GROUP
from ..spec.sparse_modes import BLOCK, Mode
from .core import LinearCore, register
from .dsp import ECP5, DspGroup
from .parts_tree import PART_NODES, PartsTree, way_of
from .reduction import NODES, ReductionTree, row_slices
from .slots import CHAIN_WEIGHTS, SlotSelect, elements, lanes_of_chain


__all__ = ["DspChainCore"]


@register
class DspChainCore(LinearCore):
    """Multiply steps, dense or sparse, with activations: chains of multipliers, exact in integers.

    After FlightLLM (arXiv:2401.03868). A chain is :data:`~rtl.spec.config.GROUP` cells, each with a
    multiplier, added up along K. A sparse multiplexer before a cell picks the activation that its
    weight's index names; reduction nodes break the chain where a row of a block ends. A beat of one
    lane has one chain per column; of more lanes, a chain serves two, and where both of a cell's
    weights go with one activation, its multiplier does both products (:class:`~.dsp.Packing`). So
    32 products of 4-bit weights per lane, column and cycle take 32 multipliers at one lane, and 16
    at more.

    Per step, row and column, the sum over the elements of (2 * code - 15) * act in U4 and of code *
    act in all else. Row p * N + l of a payload is row p of lane l. TERNARY comes as nibbles in
    two's complement, in the order of U4. Codes of sparse blocks come as they lie in memory.

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
        In SPARSE4 to half a payload.
    capacity : :class:`int`
        Payloads of sums that the core holds at most, and so steps.

    Members
    -------
    weights : :py:`In(stream.Signature(CHAIN_WEIGHTS(config)))`
        Steps. Taken together with `acts`, in the last of their passes.
    """

    what = "Chains of multipliers for dense and sparse weights, after FlightLLM (arXiv:2401.03868)."

    def __init__(self, config, packing=ECP5):
        self.check(config)
        self.packing = packing
        tree = PartsTree if config.parts > 1 else ReductionTree
        # Slots, operands, chains, tree, queue.
        super().__init__(
            config,
            latency=2 + DspGroup.LATENCY + tree.LATENCY + 1,
            whole_acts=config.sparse,  # of which indices choose
            native=config.native,
            lanes=row_slices(config) * config.rows,
            weights=CHAIN_WEIGHTS(config),
        )

    def outputs(self, fmt, mode=Mode.ZERO):
        """Payloads of sums of a step of format `fmt`, and in sparse formats of `mode`."""
        return -(-FORMATS[fmt].step_slices(mode) // 4) if FORMATS[fmt].sparse else 1

    def passes(self, fmt, mode=Mode.ZERO):
        """Cycles of a step. The slots of two lanes are more than a chain has cells, but in a dense
        block a cell does two."""
        if self.config.parts > 1:
            return self.config.parts * way_of(self.config, fmt, mode).passes
        halves = (
            2 if FORMATS[fmt].sparse and FORMATS[fmt].code_bits == 4 and mode != Mode.DENSE else 1
        )
        return max(self.outputs(fmt, mode), halves if lanes_of_chain(self.config) == 2 else 1)

    def elaborate(self, platform):
        m = Module()
        if self.config.parts > 1:
            self._parts(m)
            return m

        part, last, upper, half, nodes = self._passes(m)

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
        go = self.take_steps(m, [sums[c][n] for c in columns for n in rows], last=last, whole=~half)
        with m.If(go):
            m.d.sync += part.eq(Mux(last, 0, part + 1))

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
            return (
                sparse & step.mode.matches(*(int(mode) for mode in modes))
                if self.config.sparse
                else C(0)
            )

        n4 = is_format("SPARSE4")
        sparse = n4 | is_format("SPARSE8")
        whole = reduce(or_, map(is_format, ("U4", "TERNARY", *SIX_BITS)))
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

    def _parts(self, m):
        """Multiply steps that come in parts."""
        config, step = self.config, self.weights.p
        nodes, part = Signal(PART_NODES(config)), Signal()
        last, whole, first = (Signal(name=name, init=1) for name in ("last", "whole", "first"))
        place = Signal(2)  # of the payload's rows, that the part's begins with
        m.d.comb += nodes.quarter.eq(part)
        with m.Switch(Cat(step.format, step.mode) if config.sparse else step.format):
            for fmt, mode in self._kinds():
                way = way_of(config, fmt, mode)
                spans, payload = way.spans.bit_length() - 1, way.payload.bit_length() - 1
                bits = f"{fmt.value:0{len(Value.cast(step.format))}b}"
                if config.sparse:
                    bits = (f"{mode:03b}" if FORMATS[fmt].sparse else "---") + bits
                with m.Case(bits):
                    m.d.comb += [
                        nodes.level.eq(1 << way.level - 1),
                        nodes.four.eq(way.rows >= 4),
                        nodes.two.eq(way.rows == 2),
                        nodes.whole.eq(fmt not in (*SPARSE, WeightFormat.S8)),
                        last.eq(part == way.passes - 1),
                        whole.eq(step.part[:payload].all() if payload else 1),
                        first.eq(~step.part[:spans].any() if spans else 1),
                        place.eq(step.part[spans:] << (way.rows == 2)),
                    ]

        # Slots, operands, chains; the tree's first registers.
        one = delayed(m, nodes, 1, reset_less=True)
        later = delayed(m, one, 1 + DspGroup.LATENCY + 1, reset_less=True)
        m.submodules.slots = slots = SlotSelect(config)
        m.d.comb += slots.weights.eq(step)
        acts = delayed(m, self.acts.payload, 1, reset_less=True)
        at = delayed(m, step.part, 1, reset_less=True)
        operands = self._operands(m, slots.cells)

        sums = []
        for c in range(config.columns):
            m.submodules[f"tree_{c}"] = tree = PartsTree(config, self.lanes)
            m.d.comb += tree.nodes.eq(later)
            chosen = []
            for n, cell in enumerate(slots.cells):
                chosen.append(Signal(signed(8), name=f"act_{c}_{n}", reset_less=True))
                m.d.sync += chosen[n].eq(self._act_of_part(n, cell.element, acts[c], at, one.whole))
            self._groups(m, f"{c}", operands, chosen, tree.totals)
            sums += list(tree.rows)
        into = [
            nodes.four | nodes.whole | (place >> nodes.two == n >> nodes.two)
            for _ in range(config.columns)
            for n in range(self.lanes)
        ]
        go = self.take_steps(m, sums, last=last, whole=whole, first=first, into=into)
        with m.If(go):
            m.d.sync += part.eq(Mux(last, 0, part + 1))

    def _kinds(self):
        """Formats, and modes of sparse ones, of its steps."""
        for fmt in self.config.weight_formats:
            if fmt in self.native or fmt == WeightFormat.TERNARY:
                modes = [m for m in Mode if m != Mode.ZERO] if FORMATS[fmt].sparse else [Mode.ZERO]
                yield from ((fmt, mode) for mode in modes)

    def _operands(self, m, cells):
        """Operand registers, which the columns share."""
        operands = []
        for n, cell in enumerate(cells):
            if lanes_of_chain(self.config) == 2:
                value = self.packing.operand(cell.low, cell.high)
            else:
                bits = (
                    8
                    if n % self.elements < self.elements // 2
                    else 6
                    if self.config.high_bits
                    else 5
                )
                value = cell.low[:bits].as_signed()
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
            cells_of = slice(chain * GROUP, (chain + 1) * GROUP)
            self._groups(m, f"{column}_{chain}", operands[cells_of], chosen[cells_of], tree.totals)
            lanes += list(tree.rows)
        return [rows[n] for n in range(row_slices(self.config)) for rows in lanes]

    def _groups(self, m, name, operands, acts, totals):
        """Multiply the cells of a chain, and add each two."""
        for n in range(len(operands) // 2):
            pair = slice(2 * n, 2 * n + 2)
            bits = max(map(len, operands[pair]))
            m.submodules[f"group_{name}_{n}"] = group = DspGroup(bits)
            m.d.comb += [group.operands[i].eq(o) for i, o in enumerate(operands[pair])]
            m.d.comb += [group.acts[i].eq(a) for i, a in enumerate(acts[pair])]
            m.d.comb += totals[n].eq(group.total)

    def _act_of_part(self, cell, element, acts, part, whole):
        """Activation of a cell in a pass over a part: one of the group's, where there are
        indices."""
        if not self.config.sparse:
            return acts[cell]
        half = self.elements // 2
        lower, upper = (Cat(acts[n : n + BLOCK]) for n in (0, BLOCK))
        if cell < half:
            return lower.word_select(element, 8).as_signed()
        own = upper.word_select(part, 8 * half).word_select(cell - half, 8)
        if not elements(self.config, cell):
            return own.as_signed()
        return Mux(whole, own, lower.word_select(element, 8)).as_signed()

    def _act(self, cell, element, acts, whole):
        """Activation of a cell: the sparse multiplexer."""
        own, choices = acts[cell], elements(self.config, cell)
        if not choices:
            return own
        act = Cat(acts[n] for n in choices).word_select(
            element[: (len(choices) - 1).bit_length()], 8
        )
        return act.as_signed() if cell < BLOCK else Mux(whole, own, act.as_signed())

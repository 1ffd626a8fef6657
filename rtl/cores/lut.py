"""LUT tensor core."""

from functools import reduce
from operator import or_

from amaranth import *

from ..spec.config import NATIVE, SIX_BITS
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.numbers import GROUP
from .carried import Carried
from .core import SIX, SUM_BITS, LinearCore, register
from .tables import TABLES, bound, encode, look_up


__all__ = ["LutCore"]


PLANES = 4  # plane-row units per lane of 128 bits


@register
class LutCore(LinearCore):
    """Multiply weights with activations by looking sums of activations up, exact in integers.

    After LUT Tensor Core (arXiv:2408.06003). A weight is a sum of bit planes, a plane's bits stand
    for +1 and -1. For every few activations a table holds their sums under every choice of signs;
    the 32 weights of a plane select entries, which are added up. Tables come ready-made: they are
    built where activations are quantized (:class:`~rtl.linear.activations.ActivationBuffer`), once
    for all rows. A core by itself has :class:`~.tabled.TabledCore` in front. A step of any format
    is 4 N such rows of planes, which `columns` sets of tables serve: the tile is elongated. LUT
    Tensor Core feeds the planes of a weight one after the other; here they lie side by side, so
    that a step of any width of weights takes one cycle, and the memory's beat is used up.

    Unit 4 * n + p of lane n multiplies one row of a plane, and units are added by format. Per step
    and column, row r's sum over k is that of

    - U1: (2 * code - 1) * act: unit r;
    - U2: (2 * code - 3) * act: units 2 * r and 2 * r + 1, with weights 1 and 2;
    - U3: (2 * code - 7) * act: units 4 * r to 4 * r + 2, with weights 1, 2 and 4;
    - U4: (2 * code - 15) * act: units 4 * r to 4 * r + 3, with weights 1, 2, 4 and 8;
    - TERNARY: code * act: units 2 * r and 2 * r + 1, halved; their planes are code >= 0 and code >
      0;
    - formats of six bits: code * act, of two more units of each lane; as S8 with one plane more or
      less, over 32 elements, and over 16 to 31 where there are groups of 16;
    - S8: code * act over 16 elements, whose tables must be there twice: the units take planes 4 to
      7 with the upper ones. With the sign's plane inverted the planes make 2 * code + 1: the sum of
      the activations is taken off, and the rest halved.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected: the
    pipeline itself never stops, but takes only steps for whose sums there is room in the queue
    behind it.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    formats : tuple of :class:`str`
        Formats that there is hardware for, instead of the configuration's.
    inputs : :class:`int`
        Activations per table (K): 2 or 4. LUT Tensor Core has 4. On FPGAs, where adders are cheaper
        than multiplexers, 2 makes the smaller core: see docs/rfcs/0003-lut-tensor-core.md.

    Members
    -------
    acts : :py:`In(stream.Signature(data.ArrayLayout(TABLES(inputs), columns)))`
        Tables of each column's activations.
    """

    what = (
        "A core of lookup tables: sums of a few activations under every choice of signs, which the "
        "bits of weights "
        "select, after LUT Tensor Core (arXiv:2408.06003)."
    )

    def __init__(self, config, *, formats=None, inputs=2):
        self.check(config)
        if inputs not in (2, 4):
            raise ValueError(f"Inputs of a table must be 2 or 4, not {inputs!r}")
        if inputs > config.elements // 2:
            raise ValueError(
                f"Inputs of a table must be at most half of the {config.elements} elements of a "
                f"part, not {inputs!r}"
            )
        formats = config.formats if formats is None else formats
        native = [WeightFormat[name] for name in formats if name in NATIVE["lut"]]
        if SIX.intersection(native) - config.native:
            raise ValueError(
                f"Formats of six bits must be among {', '.join(config.formats)}, which the "
                f"configuration has, not {formats!r}"
            )
        if not native:
            raise ValueError(
                f"Formats must have at least one of {', '.join(NATIVE['lut'])}, not {formats!r}"
            )
        # Encoded weights and tables, entries; the units' trees; sums of units, of pairs, of lanes,
        # and the correction; the queue.
        self.levels = (config.elements // 2 // inputs - 1).bit_length()
        super().__init__(
            config,
            latency=2 + self.levels + 4 + 1,
            native=native,
            inputs=inputs,
            lanes=config.rows
            * max(2 if FORMATS[fmt].group < GROUP else FORMATS[fmt].step_rows for fmt in native),
            table=TABLES(inputs, config.elements),
        )
        self.units = 6 if self.native & SIX else PLANES
        self.halved = any(FORMATS[fmt].group < GROUP for fmt in native)

    def elaborate(self, platform):
        m = Module()

        self._tests = {}
        self._format = [self.weights.p.format]
        for n in range(self.latency - 1):
            self._format.append(Signal(WeightFormat, name=f"format_{n}", reset_less=True))
            m.d.sync += self._format[-1].eq(self._format[-2])

        codes = self._codes(m)
        sums = [row for c in range(self.config.columns) for row in self._column(m, c, codes)]

        # Rows that only formats of few bits have are narrow.
        self.take_steps(m, sums)

        return m

    def _is(self, m, stage, *names):
        """Whether the step in pipeline stage `stage` has one of the formats `names`."""
        formats = {WeightFormat[name] for name in names} & self.native
        if formats in (set(), self.native):
            return C(bool(formats))
        formats = sorted(formats, key=lambda fmt: fmt.value)
        # One comparison for all weights: Amaranth emits an expression wherever it is used.
        name = "_".join(["is", *(fmt.name for fmt in formats), str(stage)])
        if name not in self._tests:
            self._tests[name] = Signal(name=name)
            m.d.comb += self._tests[name].eq(
                reduce(or_, [self._format[stage] == fmt for fmt in formats])
            )
        return self._tests[name]

    def _has(self, *names):
        return any(WeightFormat[name] in self.native for name in names)

    def _codes(self, m):
        """Selections of entries, per unit and table, and whether they are negated."""
        units, count, half = [], self.elements, self.elements // 2
        for unit in range(self.units * self.config.rows):
            lane, plane = divmod(unit, self.units)
            bits, word = [], Signal(count, name=f"plane_{unit}")
            for k in range(count):
                if plane >= PLANES:  # the sign's plane is inverted
                    bit = self.weights.p.high[2 * (count * lane + k) + plane - PLANES]
                    bits.append(~bit if plane == self.units - 1 else bit)
                    continue
                bit = self.weights.p.codes[count * (PLANES * lane + plane) + k]
                if self._has("U4", "S8", *SIX_BITS):
                    packed = self.weights.p.codes[
                        4 * count * lane + 8 * (k % half) + 4 * (k // half) + plane
                    ]
                    if plane == 3 and k >= half:
                        packed = packed ^ self._is(m, 0, "S8")
                    bit = Mux(self._is(m, 0, "U4", "S8", *SIX_BITS), packed, bit)
                bits.append(bit)
            m.d.comb += word.eq(Cat(bits))
            lookups = []
            for n in range(0, count, self.inputs):
                codes, negative = encode(word[n : n + self.inputs])
                later = [
                    Signal(2, name=f"code_{unit}_{n}_{i}", reset_less=True)
                    for i in range(len(codes))
                ]
                add_one = Signal(name=f"negative_{unit}_{n}", reset_less=True)
                m.d.sync += [a.eq(b) for a, b in zip(later, codes)]
                m.d.sync += add_one.eq(negative)
                lookups.append((later, add_one))
            units.append(lookups)
        return units

    def _tables(self, m, column):
        """Tables of one column, of a step whose weights are encoded."""
        tables = []
        for n, table in enumerate(self.acts.p[column]):
            entries = [
                Signal(signed(len(e)), name=f"entry_{column}_{n}_{i}", reset_less=True)
                for i, e in enumerate(table)
            ]
            m.d.sync += [later.eq(e) for later, e in zip(entries, table)]
            tables.append(entries)
        return tables

    def _column(self, m, column, codes):
        """Rows of one column, of as many bits as they need."""
        tables = self._tables(m, column)
        stage, most = 2 + self.levels, bound(self.inputs)

        def tree(terms, name):
            for level in range(self.levels):
                terms = [
                    (a + b).registered(m, f"{name}_{level}_{n}")
                    for n, (a, b) in enumerate(zip(terms[0::2], terms[1::2]))
                ]
            return terms[0]

        units, uppers = [], []
        for u, lookups in enumerate(codes):
            name = f"unit_{column}_{u}"
            terms = [
                Carried(look_up(table, code), negative, most).registered(m, f"{name}_{n}")
                for n, (table, (code, negative)) in enumerate(zip(tables, lookups))
            ]
            lower = tree(terms[: len(terms) // 2], f"{name}_lower")
            upper = tree(terms[len(terms) // 2 :], f"{name}_upper")
            if self.halved:
                uppers.append(upper.registered(m, f"{name}_only"))
            if self._has("S8") and u % self.units < PLANES:
                upper = (upper << 4).where(self._is(m, stage, "S8"), upper)
            units.append((lower + upper).registered(m, name))

        pairs = []
        for n, (low, high) in enumerate(zip(units[0::2], units[1::2])):
            doubled, place = high << 1, n % (self.units // 2)
            if self._has("TERNARY") and place < 2:
                doubled = high.where(self._is(m, stage + 1, "TERNARY"), doubled)
            if place == 1 and self._has("U3"):
                doubled = doubled.masked(~self._is(m, stage + 1, "U3"))
            pairs.append((low + doubled).registered(m, f"pair_{column}_{n}"))

        whole, upper = self._corrections(m, column, tables, tree, most, stage)
        wide = self._lanes(m, f"lane_{column}", pairs, whole, self._is(m, stage + 2, *SIX_BITS))
        if self.halved:
            halves = [
                (low + (high << 1)).registered(m, f"half_{column}_{n}")
                for n, (low, high) in enumerate(zip(uppers[0::2], uppers[1::2]))
            ]
            upper = self._lanes(m, f"upper_{column}", halves, upper, C(1))

        def later(values, name, cycles):
            for n in range(cycles):
                stages = [
                    Signal.like(v, name=f"{name}_{column}_{i}_{n}", reset_less=True)
                    for i, v in enumerate(values)
                ]
                m.d.sync += [s.eq(v) for s, v in zip(stages, values)]
                values = stages
            return values

        stage += 4
        choices, rows = [], self.config.rows

        def planes(values, each):
            """Those of a lane's 128 bits."""
            per = self.units // each
            return [v for n in range(rows) for v in values[n * per : n * per + PLANES // each]]

        if self._has("U1"):
            single = [u.within(self.elements * 128).total for u in planes(units, 1)]
            choices.append((later(single, "single", 3), ["U1"], 0))
        widest = 3 * self.elements * 128
        double = later([p.within(widest).total for p in planes(pairs, 2)], "double", 2)
        wide = later([w.total for w in wide], "wide", 1)
        if self.halved:
            wide += later([w.total for w in upper], "upper", 1)
        for values, names, shift in [
            (double, ["U2"], 0),
            (double, ["TERNARY"], 1),
            (wide[:rows], ["U3", "U4"], 0),
            (wide[:rows], ["S8"], 1),
            (wide, SIX_BITS, 1),
        ]:
            if self._has(*names):
                choices.append((values, names, shift))
        sums = []
        for r in range(self.lanes):
            terms = [
                Mux(self._is(m, stage, *names), values[r] >> shift, 0)
                for values, names, shift in choices
                if r < len(values)
            ]
            row = reduce(or_, terms)
            sums.append(row[: min(len(row), SUM_BITS)])
        return sums

    def _corrections(self, m, column, tables, tree, most, stage):
        """What is added to a lane's planes as their signs are inverted: the negative sum of the
        step's activations, or of the upper half's. Both are registered three times."""
        half = len(tables) // 2
        lower, upper = (
            tree([Carried(table[-1], C(0), most) for table in part], f"acts_{column}_{name}")
            for name, part in (("lower", tables[:half]), ("upper", tables[half:]))
        )
        totals = []
        if self._has("S8"):
            totals.append((lower, "S8"))
        if self.native & SIX:
            totals.append((lower + upper, *SIX_BITS))
        bound = max((total.bound for total, *_ in totals), default=0) + 1
        whole = reduce(
            or_, (Mux(self._is(m, stage - 1, *names), -t.value, 0) for t, *names in totals), C(0)
        )
        found = []
        sums = [(Value.cast(whole).as_signed(), bound), (-upper.value, upper.bound + 1)]
        for name, (value, largest) in zip(("whole", "upper"), sums):
            correction = Carried(value, C(0), largest if totals else 0)
            for n in range(3):
                correction = correction.registered(m, f"correction_{name}_{column}_{n}")
            found.append(correction)
        return found

    def _lanes(self, m, name, pairs, correction, six):
        """Sums of a row's planes: two pairs, and a third one in formats of six bits."""
        lanes, each = [], self.units // 2
        for n in range(0, len(pairs), each):
            low, high = pairs[n : n + 2]
            own = correction
            if each == 3:
                own = own + (pairs[n + 2] << 4).masked(six)
            own = own.registered(m, f"{name}_{n}_more")
            lanes.append(own + (low + (high << 2)).registered(m, f"{name}_{n}"))
        return lanes

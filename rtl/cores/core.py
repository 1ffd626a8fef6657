"""What a linear core is, and the registry of those that configurations name."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.config import NATIVE, SIX_BITS, Config
from ..spec.isa import WeightFormat
from ..spec.numbers import GROUP
from .output import OutputQueue, capacity


__all__ = ["CORES", "CORE_WEIGHTS", "SIX", "SUM_BITS", "LinearCore", "register", "six_bits"]


CORES = {}  # name: class
SIX = frozenset(WeightFormat[name] for name in SIX_BITS)
SUM_BITS = 20  # 16 products of -128 and -128 are 2**18


def CORE_WEIGHTS(config):
    """What a linear core takes of a step, or of one of its parts; one that multiplies sparse blocks
    as they are stored takes their indices too."""
    high = {"high": config.high_bits // config.parts} if config.high_bits else {}
    part = {"part": range(config.parts)} if config.parts > 1 else {}
    return data.StructLayout({"codes": config.beat_bits, **high, "format": WeightFormat, **part})


def nibble(codes, elements, row, k):
    """Nibble of element k of a row, of which a step or part has `elements`: those of the lower half
    of a group are the low ones of each byte."""
    half = elements // 2
    return codes.word_select(row, 4 * elements).word_select(2 * (k % half) + k // half, 4)


def six_bits(weights, elements, row, k):
    """Element k, signed, of a row of a step in a format of six bits."""
    low = nibble(weights.codes, elements, row, k)
    return Cat(low, weights.high.word_select(elements * row + k, 2)).as_signed()


def register(cls):
    """Decorator: make a class the core that its file is named after, one of `NATIVE`."""
    name = cls.__module__.rpartition(".")[2]
    if name not in NATIVE:
        raise TypeError(f"Core must be one of {', '.join(NATIVE)}, not {name!r}")
    if name in CORES:
        raise TypeError(f"Core {name} must be registered once")
    CORES[name] = cls
    return cls


class LinearCore(wiring.Component):
    """Multiply a step's weights with activations, exactly: what every core keeps to.

    A step is taken from `weights` and `acts` together. It gives :meth:`outputs` payloads of sums,
    in order; :meth:`passes` cycles after it the next one can be taken. Rows of a payload that a
    step does not have are nonsense. Per row and column, a sum is that of weight * activation over
    the step's elements, where the weight is the format's :meth:`~rtl.spec.formats.Format.grid` of
    its code. Where the configuration has formats in groups of 16, sum N + n of a payload of one
    slice is that of row n over elements 16 to 31 alone. Formats that are not native come a slice of
    N rows at a time (:mod:`rtl.linear.expand`): ternary codes as nibbles in two's complement, rows
    of sparse blocks as S8.

    Where beats are parts of words, a step comes in as many parts (:mod:`rtl.linear.parts`), and its
    sums leave after the last: :meth:`take_steps` adds those of its parts.

    A core's pipeline never stops. It takes only steps for whose sums there is room in the queue
    behind it (:meth:`take_steps`), so `valid` never waits for `ready`.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    latency : :class:`int`
        Cycles from a step's operands to its first sums, less one where they are sums of parts.
    native : frozenset of :class:`~rtl.spec.isa.WeightFormat`
        Formats whose steps it takes as they come from memory.
    lanes : :class:`int`
        Rows of a payload of sums.
    weights : :class:`~amaranth.lib.data.StructLayout`
        What it takes of a step: `CORE_WEIGHTS`, unless it takes more.
    table : shape-like
        What it takes of a column's activations; they come as they are, unless it takes tables.
    whole_acts : :class:`bool`
        It takes all activations of a group with each part of a step.
    inputs : :class:`int`
        Activations per table.
    more : :class:`dict`
        Members beyond those below.

    Attributes
    ----------
    what : :class:`str`
        A sentence on how it multiplies, for its manual.
    elements : :class:`int`
        Elements of a row of a step, or of a part of one: of each half of a group half as many.
    act_elements : :class:`int`
        Activations that it takes with each.
    latency : :class:`int`
        Cycles from the operands of a step, or of its last part, to its first sums.
    capacity : :class:`int`
        Steps that the core holds at most, counting those whose sums are not taken.

    Members
    -------
    weights : :py:`In(stream.Signature(weights))`
        Codes, laid out as :mod:`rtl.spec.formats` says. Taken together with `acts`.
    acts : :py:`In(stream.Signature(data.ArrayLayout(table, columns)))`
        Activations of each column. Those beyond a step's elements do not matter.
    sums : :py:`Out(stream.Signature(ArrayLayout(ArrayLayout(signed(20), lanes), columns)))`
        Sums of the step, by column and row.
    """

    what: str

    def __init__(
        self,
        config,
        *,
        latency,
        native,
        lanes,
        weights=None,
        table=None,
        whole_acts=False,
        inputs=1,
        more=None,
    ):
        self.config, self.native, self.elements = config, frozenset(native), config.elements
        self.latency = latency + (config.parts > 1)
        self.lanes, self.inputs, self.capacity = lanes, inputs, capacity(self.latency)
        self.act_elements = GROUP if whole_acts else self.elements
        table = data.ArrayLayout(signed(8), self.act_elements) if table is None else table
        super().__init__(
            {
                "weights": In(stream.Signature(weights or CORE_WEIGHTS(config))),
                "acts": In(stream.Signature(data.ArrayLayout(table, config.columns))),
                "sums": Out(
                    stream.Signature(
                        data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), lanes), config.columns)
                    )
                ),
                **(more or {}),
            }
        )

    @staticmethod
    def check(config):
        """Refuse what is no configuration."""
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")

    def outputs(self, fmt, mode=0):
        """Payloads of sums that a step of `fmt` gives; `mode` is a sparse step's."""
        return 1

    def passes(self, fmt, mode=0):
        """Cycles that a step of `fmt` takes."""
        return self.config.parts

    def take_steps(self, m, sums, *, last=1, whole=None, first=None, into=None):
        """Let steps in, `weights` and `acts` together, and give their `sums` through a queue.

        Parameters
        ----------
        sums : list of signed :class:`Value`
            End of the pipeline: sums by column and row. They may be narrower than the payload's;
            they are, as far as through the queue.
        last : :class:`Value`
            The step leaves after this pass over it.
        whole : :class:`Value`
            A payload of sums follows from this pass: from each, or from that over the last part.
        first : :class:`Value`
            Where steps come in parts: sums begin with this pass, and not with the first part.
        into : list of :class:`Value`
            Of each sum, whether this pass adds to it; it does.

        Returns whether a pass is made in this cycle.
        """
        go = Signal()
        if self.config.parts > 1:
            part = self.weights.p.part
            first = part == 0 if first is None else first
            sums = self._add_parts(m, sums, go, first, into or [C(1)] * len(sums))
            whole = part == self.config.parts - 1 if whole is None else whole
        shape = data.StructLayout({str(n): signed(len(row)) for n, row in enumerate(sums)})
        m.submodules.results = results = OutputQueue(shape, latency=self.latency)
        m.d.comb += [
            go.eq(self.weights.valid & self.acts.valid & results.room),
            self.weights.ready.eq(self.acts.valid & results.room & last),
            self.acts.ready.eq(self.weights.valid & results.room & last),
            results.enter.eq(go if whole is None else go & whole),
            results.i.as_value().eq(Cat(sums)),
            self.sums.valid.eq(results.o.valid),
            results.o.ready.eq(self.sums.ready),
        ]
        for n in range(len(sums)):
            column, row = divmod(n, self.lanes)
            m.d.comb += self.sums.p[column][row].eq(results.o.p[str(n)])
        return go

    def _add_parts(self, m, sums, go, first, into):
        """Add the sums of a step's parts, which begin with `first`: a register more."""
        valid, first, into = (
            delayed(m, value, self.latency - 2) for value in (go, first, Cat(into))
        )
        more, totals = (self.config.parts - 1).bit_length(), []
        for n, part in enumerate(sums):
            bits = min(len(part) + more, SUM_BITS)
            total = Signal(signed(bits), name=f"total_{n}", reset_less=True)
            with m.If(valid & into[n]):
                m.d.sync += total.eq(Mux(first, 0, total) + part.as_signed())
            totals.append(total)
        return totals

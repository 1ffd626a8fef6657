"""Dense linear core for weights of one width."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In

from rtl.cores.carried import Carried
from rtl.cores.core import LinearCore
from rtl.spec.formats import FORMATS
from rtl.spec.formats.nibbles import CodeBook, SixBits
from rtl.spec.isa import WeightFormat
from rtl.spec.numbers import GROUP


__all__ = ["BITS", "SPREAD", "DenseCore", "elements_of", "rows_of"]


DENSE = {
    its.name: its
    for its in FORMATS.values()
    if not its.sparse and not isinstance(its, (SixBits, CodeBook))
}
BITS = {name: its.code_bits or 2 for name, its in DENSE.items()}  # planes of a weight
SPREAD = {name: 4 // its.step_rows for name, its in DENSE.items()}  # 32-bit words of a row


def rows_of(config, format):
    """Rows of a step of a format."""
    return 4 * config.rows // SPREAD[format]


def elements_of(format):
    """Elements of a row of a step."""
    return DENSE[format].elements


class DenseCore(LinearCore):
    """Multiply weights of one format with activations, without tables: what those must beat.

    Streams and sums are those of :class:`~rtl.cores.lut.LutCore`, whose steps this takes, and as
    there a register follows every adder. There are two ways to multiply:

    - `products`: a multiplication per weight, which the tools map to what they have;
    - `planes`: a weight's bits choose whether the activation is added, bit by bit of the weight,
      and the planes' sums are added up. The sum of the activations turns codes into weights: the
      sum of (2 * code - 15) * act is twice that of code * act, less 15 times that of act, which the
      activation buffer has. Ternary weights choose the activation, its negative or nothing.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    format : :class:`str`
        Format of the weights: U1, U2, U3, U4, S8 or TERNARY.
    multiply : :class:`str`
        `products` or `planes`.

    Members
    -------
    act_sums : :py:`In(data.ArrayLayout(signed(13), columns))`
        Sum of each column's 32 activations. Sampled with `acts`.
    """

    def __init__(self, config, format, multiply):
        self.check(config)
        if format not in BITS:
            raise ValueError(f"Format must be one of {', '.join(BITS)}, not {format!r}")
        if multiply not in ("products", "planes"):
            raise ValueError(f"Multiplications must be 'products' or 'planes', not {multiply!r}")
        self.format, self.multiply = format, multiply
        self.bits, self.summed = BITS[format], elements_of(format)
        self.levels = (self.summed - 1).bit_length()
        self.plane_levels = 0 if format == "TERNARY" else (self.bits - 1).bit_length()
        # Operands, products, trees; planes, correction; the FIFO.
        latency = 2 + self.levels + 1
        if multiply == "planes":
            latency += self.plane_levels + (format != "S8")
        super().__init__(
            config,
            latency=latency,
            native={WeightFormat[format]},
            lanes=rows_of(config, format),
            more={"act_sums": In(data.ArrayLayout(signed(13), config.columns))},
        )

    def elaborate(self, platform):
        m = Module()

        codes = [self._codes(m, row) for row in range(self.lanes)]
        column = (
            self._products
            if self.multiply == "products"
            else self._signs
            if self.format == "TERNARY"
            else self._planes
        )
        sums = [
            row for c in range(self.config.columns) for row in column(m, c, codes, self._acts(m, c))
        ]

        self.take_steps(m, sums)

        return m

    def _codes(self, m, row):
        """Registered codes of a row, one per element, as integers of `bits` bits."""
        words = SPREAD[self.format]
        own = self.weights.p.codes[GROUP * words * row : GROUP * words * (row + 1)]
        codes = []
        for k in range(self.summed):
            if self.format == "S8":
                value = own.word_select(k, 8)
            elif self.format == "U4":
                value = own.word_select(2 * (k % 16) + k // 16, 4)
            else:
                value = Cat(own[GROUP * plane + k] for plane in range(self.bits))
            codes.append(_later(m, value, f"code_{row}_{k}"))
        return codes

    def _acts(self, m, column):
        return [_later(m, self.acts.p[column][k], f"act_{column}_{k}") for k in range(self.summed)]

    def _products(self, m, column, codes, acts):
        """Sums of products of signed weights."""
        for row, of_row in enumerate(codes):
            products = []
            for k, (code, act) in enumerate(zip(of_row, acts)):
                if self.format == "S8":
                    weight = code.as_signed()
                elif self.format == "TERNARY":
                    weight = Cat(~(code[0] ^ code[1]), ~code[0]).as_signed()
                else:
                    # 2 * code - (2**bits - 1) is the code with a one after it, its top bit made a
                    # sign.
                    weight = Cat(1, code[:-1], ~code[-1]).as_signed()
                # No weight is so negative that the product needs the top bit of its operands'
                # widths.
                product = (
                    (weight * act)[: len(weight) + 7].as_signed()
                    if self.format != "S8"
                    else weight * act
                )
                products.append(_later(m, product, f"product_{column}_{row}_{k}"))
            yield _tree(m, products, f"sum_{column}_{row}")

    def _planes(self, m, column, codes, acts):
        """Sums of activations, chosen by the bits of codes."""
        correction = self._correction(m, column)
        for row, of_row in enumerate(codes):
            name, terms = f"{column}_{row}", []
            for plane in range(self.bits):
                chosen = [
                    _later(m, Mux(code[plane], act, 0), f"chosen_{name}_{plane}_{k}", signed(8))
                    for k, (code, act) in enumerate(zip(of_row, acts))
                ]
                terms.append(_tree(m, chosen, f"plane_{name}_{plane}"))
            shift = 1
            while len(terms) > 1:
                highs = [high << shift for high in terms[1::2]]
                if self.format == "S8" and shift == 1:
                    highs[-1] = -highs[-1]
                sums = [low + high for low, high in zip(terms[::2], highs)]
                terms = [
                    _later(m, term, f"planes_{name}_{shift}_{n}")
                    for n, term in enumerate([*sums, *terms[2 * len(sums) :]])
                ]
                shift *= 2
            if self.format == "S8":
                yield terms[0]
                continue
            yield _later(m, (terms[0] << 1) - correction, f"sum_{name}")

    def _signs(self, m, column, codes, acts):
        """Sums of activations, their negatives or nothing."""
        for row, of_row in enumerate(codes):
            name, terms = f"{column}_{row}", []
            for k, (code, act) in enumerate(zip(of_row, acts)):
                negative, some = ~code[0], code[0] == code[1]
                chosen = Mux(some, act ^ negative.replicate(8), 0).as_signed()
                terms.append(
                    Carried(chosen, some & negative, 128).registered(m, f"chosen_{name}_{k}")
                )
            for level in range(self.levels):
                terms = [
                    (a + b).registered(m, f"sum_{name}_{level}_{n}")
                    for n, (a, b) in enumerate(zip(terms[::2], terms[1::2]))
                ]
            yield _later(m, terms[0].total, f"sum_{name}")

    def _correction(self, m, column):
        """What the sums of codes are too large by: activations, once per plane of weight 1."""
        if self.format == "S8":
            return None
        total, name = self.act_sums[column], f"correction_{column}"
        for n in range(1 + self.levels):
            total = _later(m, total, f"{name}_{n}")
        total = _later(m, (total << self.bits) - total if self.bits > 1 else total, name)
        for n in range(self.plane_levels):
            total = _later(m, total, f"{name}_late_{n}")
        return total


def _later(m, value, name, shape=None):
    """A value, a cycle later."""
    register = Signal(value.shape() if shape is None else shape, name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


def _tree(m, terms, name):
    """Sum of signed terms, with a register behind every adder."""
    level = 0
    while len(terms) > 1:
        terms = [
            _later(m, a + b, f"{name}_{level}_{n}")
            for n, (a, b) in enumerate(zip(terms[::2], terms[1::2]))
        ]
        level += 1
    return terms[0]

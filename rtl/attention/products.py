"""Multipliers of the attention unit."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed


__all__ = ["PRODUCT_BITS", "KEY_PRODUCT_BITS", "sum_latency", "ProductArray"]


PRODUCT_BITS = 25
KEY_PRODUCT_BITS = 24  # 16 x 8 bits: what the trees add


def sum_latency(config):
    """Cycles from the inputs of a :class:`ProductArray` to its `sums`."""
    levels = (config.beat_bytes - 1).bit_length()
    return ProductArray.LATENCY + (levels + 1) // 2


class ProductArray(wiring.Component):
    """Multiply a beat of keys or values, per query head: keys with the query, values with a weight.

    The multipliers (17 x 8 bits, signed) serve both. The products are also added up, two levels of
    adders between registers; that sum is meant for keys, and is nonsense for values.
    It comes :func:`sum_latency` cycles after the inputs.

    Throughput is one beat per cycle, without stalls.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries` and `beat_bits` are used.

    Attributes
    ----------
    LATENCY : :class:`int`
        Cycles from inputs to `products`.

    Members
    -------
    beat : :py:`In(beat_bits)`
        8-bit elements.
    value : :py:`In(1)`
        They are values.
    queries : :py:`In(signed(16)).array(queries, beat_bytes)`
        Factors of keys.
    weights : :py:`In(16).array(queries)`
        Factors of values.
    products : :py:`Out(signed(25)).array(queries, beat_bytes)`
        Products.
    sums : :py:`Out(signed(24 + log2(beat_bytes))).array(queries)`
        Sums of the products of keys.
    """

    LATENCY = 2

    def __init__(self, config):
        self.config = config
        levels = (config.beat_bytes - 1).bit_length()
        super().__init__(
            {
                "beat": In(config.beat_bits),
                "value": In(1),
                "queries": In(signed(16)).array(config.queries, config.beat_bytes),
                "weights": In(16).array(config.queries),
                "products": Out(signed(PRODUCT_BITS)).array(config.queries, config.beat_bytes),
                "sums": Out(signed(KEY_PRODUCT_BITS + levels)).array(config.queries),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.config.beat_bytes

        elements = [Signal(signed(8), name=f"element{n}", reset_less=True) for n in range(width)]
        for n, element in enumerate(elements):
            m.d.sync += element.eq(self.beat[8 * n : 8 * n + 8])

        for q in range(self.config.queries):
            level = []
            for n, element in enumerate(elements):
                factor = Signal(signed(17), name=f"factor{q}_{n}", reset_less=True)
                product = Signal(signed(PRODUCT_BITS), name=f"product{q}_{n}", reset_less=True)
                m.d.sync += [
                    factor.eq(Mux(self.value, self.weights[q], self.queries[q][n])),
                    product.eq(factor * element),
                ]
                m.d.comb += self.products[q][n].eq(product)
                level.append(product[:KEY_PRODUCT_BITS].as_signed())

            while len(level) > 1:
                level = [a + b for a, b in zip(level[0::2], level[1::2])]
                if len(level) > 1:
                    level = [a + b for a, b in zip(level[0::2], level[1::2])]
                level = [delayed(m, total, 1, reset_less=True) for total in level]
            m.d.comb += self.sums[q].eq(level[0])

        return m

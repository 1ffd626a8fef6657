"""Accumulators of attention: sums of blocks, and the sums of a head."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.limits import NUMERATOR_BITS, QUERY_BITS, WEIGHT_BITS
from ..spec.numbers import KV_BLOCK
from .fold import Fold
from .products import PRODUCT_BITS, ProductArray
from .softmax import Rescale
from .tag import Tag


__all__ = ["BLOCK_BITS", "words_at_once", "SumWords", "Accumulators"]


CAPTURE = ProductArray.LATENCY + 4  # cycles from `open` until sums are kept, at least
BLOCK_BITS = 8 + WEIGHT_BITS + KV_BLOCK.bit_length() - 1  # sum of a block's products, signed


def words_at_once(config):
    """Sums that leave the accumulators in a cycle: a beat's before those of the next are complete,
    but at most a line of the vector memory.
    """
    needed = -(-config.queries * config.beat_bytes // KV_BLOCK)
    return min(config.lanes, 1 << (needed - 1).bit_length())


def SumWords(config):
    """Sums of a query: a denominator, in all words, or numerators from element `place` times the
    number of words on, whose exponent is that much larger.
    """
    words = words_at_once(config)
    return data.StructLayout(
        {
            "words": data.ArrayLayout(signed(NUMERATOR_BITS), words),
            "query": range(config.queries),
            "place": range(config.head_dim // words),
            "denominator": 1,
            "exponent": 8,
        }
    )


class Accumulators(wiring.Component):
    """Add up weighted values and weights, block by block; rescale before a block is added.

    Values come chunk by chunk, so that each product has one accumulator, for the positions of the
    block. Once a chunk is complete its sums are kept, and handed on by and by, to be added to the
    head's (:class:`Fold`), while the next chunk comes. The accumulators are never cleared within an
    instruction: what a chunk adds is a difference.

    Throughput is one beat per cycle, without stalls, but for chunks of few positions: handing on
    takes queries * beat_bytes / words cycles, and as many as there are queries once in a block.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim`, `beat_bits` and `lanes` are used.

    Members
    -------
    clear : :py:`In(1)`
        Another instruction begins; all are idle.
    queries : :py:`In(8)`
        Queries that it has. Stays.
    rescale : :py:`In(stream.Signature(Rescale(config)))`
        Of a block, before its values. Taken when the block before is complete.
    open : :py:`Out(1)`
        A chunk may be completed.
    closing : :py:`In(1)`
        The beat that completes one is on its way.
    tag : :py:`In(Tag(config))`
        What the beat is that enters :class:`ProductArray` now.
    shares : :py:`In(16).array(queries)`
        What its position adds to the denominators, with its first chunk.
    products : :py:`In(signed(25)).array(queries, beat_bytes)`
        Products that leave the products now.
    o : :py:`Out(stream.Signature(SumWords(config)))`
        Sums of a head: chunk by chunk those of each query, and then the denominators.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "queries": In(QUERY_BITS),
                "rescale": In(stream.Signature(Rescale(config))),
                "open": Out(1, init=1),
                "closing": In(1),
                "tag": In(Tag(config)),
                "shares": In(16).array(config.queries),
                "products": In(signed(PRODUCT_BITS)).array(config.queries, config.beat_bytes),
                "o": Out(stream.Signature(SumWords(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        queries = self.config.queries
        words = words_at_once(self.config)
        runs = self.config.beat_bytes // words
        tag = delayed(m, self.tag, ProductArray.LATENCY, reset_less=True)
        valid = delayed(m, self.tag.value, ProductArray.LATENCY)
        complete = delayed(m, valid & tag.close, 1)
        chunk = delayed(m, tag.chunk, 1, reset_less=True)
        end = delayed(m, tag.end, 1, reset_less=True)

        # The rescaling of the block that comes, and of that whose sums are handed on.
        coming = Signal(Rescale(self.config), reset_less=True)
        known = Signal()
        its = Signal.like(coming, reset_less=True)
        m.d.comb += self.rescale.ready.eq(~known)
        with m.If(self.rescale.ready):
            m.d.sync += [coming.eq(self.rescale.p), known.eq(self.rescale.valid)]
        with m.Elif(complete & end):
            m.d.sync += known.eq(0)

        # Runs of words of each query, then denominators: `left` are to come.
        en, step, told = Signal(), Signal(), Signal()
        left = Signal(range(queries * (runs + 1) + 1))
        run, query = Signal(range(runs)), Signal(range(queries))
        its_chunk = Signal.like(chunk, reset_less=True)
        denominator = Signal()
        m.d.comb += step.eq((left != 0) & en)
        with m.If(step):
            m.d.sync += left.eq(left - 1)
            with m.If(denominator | (run == runs - 1)):
                m.d.sync += [run.eq(0), query.eq(query + 1)]
                with m.If(query == self.queries - 1):
                    m.d.sync += [query.eq(0), denominator.eq((left != 1) & ~denominator)]
            with m.Else():
                m.d.sync += run.eq(run + 1)
        # The next chunk's sums may come with this one's last word, and no sooner: see `CAPTURE`.
        # Only the last block of a head can stall.
        with m.If(step & ~told & (left <= Mux(its.last, 1, CAPTURE))):
            m.d.sync += [self.open.eq(1), told.eq(1)]
        # What is in the accumulators when an instruction begins is handed on to nobody.
        with m.If(complete | self.clear):
            count = self.queries << runs.bit_length() - 1
            m.d.sync += [
                left.eq(count + Mux(end & complete, self.queries, 0)),
                its.eq(coming),
                its_chunk.eq(chunk),
                told.eq(0),
            ]
        with m.If(self.clear):
            m.d.sync += [its.last.eq(0), self.open.eq(0)]
        with m.Elif(self.closing):
            m.d.sync += self.open.eq(0)

        m.d.comb += en.eq(~self.o.valid | self.o.ready)
        line = self.numerators(m, valid, complete | self.clear, step & ~denominator)
        totals = [self.denominator(m, q, tag, valid, complete) for q in range(queries)]
        place = Cat(run, its_chunk)
        for n in range(words):
            fold = m.submodules[f"fold{n}"] = Fold(
                BLOCK_BITS, queries * runs, len(place) + len(query) + 1
            )
            m.d.comb += [
                fold.en.eq(en),
                fold.valid.eq(step),
                fold.word.eq(Mux(denominator, Array(totals)[query], line[n])),
                fold.before.eq(Cat(run, query)),
                fold.whole.eq(denominator),
                fold.first.eq(its.first),
                fold.shift.eq(Mux(denominator, its.denominator[query], its.numerator[query])),
                fold.address.eq(Cat(place, query, denominator)),
                self.o.p.words[n].eq(fold.o),
            ]
        about = Cat(query, place, denominator, its.exponent[query])
        it = self.o.p
        m.d.comb += [
            self.o.valid.eq(delayed(m, step & its.last, Fold.LATENCY, en=en)),
            Cat(it.query, it.place, it.denominator, it.exponent).eq(
                delayed(m, about, Fold.LATENCY, en=en, reset_less=True)
            ),
        ]
        return m

    def numerators(self, m, valid, keep, step):
        """Accumulators of all products. Returns the words that are handed on: a shift register that
        holds what the accumulators were at `keep`, query after query.
        """
        words = words_at_once(self.config)
        totals = []
        for q in range(self.config.queries):
            for n in range(self.config.beat_bytes):
                total = Signal(signed(BLOCK_BITS), name=f"numerator{q}_{n}", reset_less=True)
                with m.If(valid):
                    m.d.sync += total.eq(total + self.products[q][n])
                totals.append(total)
        line = [
            Signal.like(total, name=f"line{n}", reset_less=True) for n, total in enumerate(totals)
        ]
        for n, (kept, total) in enumerate(zip(line, totals)):
            following = line[n + words] if n + words < len(line) else kept
            with m.If(keep):
                m.d.sync += kept.eq(total)
            with m.Elif(step):
                m.d.sync += kept.eq(following)
        return line[:words]

    def denominator(self, m, q, tag, valid, keep):
        """Sum of a query's shares in a block; returns what it was at `keep`."""
        share = delayed(m, self.shares[q], ProductArray.LATENCY, reset_less=True)
        bits = WEIGHT_BITS + KV_BLOCK.bit_length() - 1
        total = Signal(bits, name=f"denominator{q}", reset_less=True)
        kept = Signal.like(total, name=f"kept{q}", reset_less=True)
        with m.If(valid & tag.start):
            m.d.sync += total.eq(Mux(tag.open, 0, total) + share)
        with m.If(keep):
            m.d.sync += kept.eq(total)
        return kept

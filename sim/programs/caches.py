"""Pieces of random programs that write the KV cache, and that attend to it; as :mod:`.pieces`."""

from dataclasses import replace

from rtl.spec import kv
from rtl.spec.config import KV_BLOCK
from rtl.spec.isa import Append, Attend, Dest, Quant
from rtl.spec.limits import CACHE, HEADS, POSITIONS, REPETITIONS

from .pieces import calmed, largest


__all__ = ["append", "attend", "most_heads"]


def heads_quantized(made, dest, count):
    """QUANT of so many groups for attention."""
    random, config = made.random, made.config
    dim, lanes, words = config.head_dim, config.lanes, config.vector_words
    most = largest(Quant, "inner", dim) // dim
    outers = [
        n for n in (1, 2, 3, count) if count % n == 0 and count // n <= most and n <= REPETITIONS
    ]
    outer = random.choice(outers)
    inner = count // outer * dim
    if inner > words:
        return None
    top = min(
        largest(Quant, "stride", lanes), (words - inner) // max(outer - 1, 1) // lanes * lanes
    )
    stride = random.choice([min(top, dim), made.edge(0, top, lanes)])
    return Quant(
        dest=dest,
        outer=outer,
        inner=inner,
        stride=stride,
        a=made.place((outer - 1) * stride + inner, lanes),
    )


def append(made):
    random, config, (first, end) = made.random, made.config, made.world.cache
    heads = random.randint(1, 3)
    if made.rarely(20):  # as many as a QUANT of one repetition, or of most repetitions, has
        heads = random.choice(
            [min(HEADS, config.vector_words // config.head_dim), made.edge(1, HEADS)]
        )
    block = config.kv_block_units
    most = min(CACHE, (end - first - block) // max(heads - 1, 1))
    stride = random.choice([n for n in (0, 1, block, block + 1, most) if n <= most])
    quant = heads_quantized(made, Dest.KV, heads)
    return quant and [
        *calmed(made, quant),
        Append(
            value=random.getrandbits(1),
            heads=heads,
            stride=stride,
            addr=made.edge(first, end - (heads - 1) * stride - block),
            position=random.choice([0, 31, largest(Append, "position"), random.randrange(1 << 20)]),
        ),
    ]


def most_heads(config):
    """The most heads of an ATTEND: its results leave room for what QUANT reads, over and over."""
    return min(HEADS, (config.vector_words - config.head_dim) // (config.head_dim + config.lanes))


def attend(made):
    random, config, world = made.random, made.config, made.world
    block = config.kv_block_units
    most = most_heads(config)
    heads, queries = random.randint(1, 3), random.randint(1, min(config.queries, 15))
    length = random.choice(
        [1, 2, 31, 32, 33, 64, 65, random.randint(1, 96), random.randint(65, 192)]
    )
    if made.rarely(20):
        heads, queries, length = made.edge(1, most), 1, random.randint(1, 2)
    elif world.long and made.rarely(15):
        heads, queries, length = 1, 1, random.choice([POSITIONS, random.randint(1, POSITIONS)])
    if random.random() < 0.4:
        return attend_window(made, heads, queries, length)
    # Of a query of usual numbers, and blocks that begin where those of the cache do, scores differ
    # by little; elsewhere exponents are any bytes.
    usual = random.random() < 0.6
    reach = -(-length // KV_BLOCK) * block
    top = min(CACHE, (world.end - reach) // max(heads - 1, 1))
    stride = random.choice([n for n in ((0, block) if usual else (0, 1, block, top)) if n <= top])
    reach += (heads - 1) * stride
    if reach > world.end:
        return None
    addr = made.edge(0, world.end - reach)
    blocks = (world.cache[1] - world.cache[0] - reach) // block
    if usual and blocks >= 0:
        addr = world.cache[0] + block * random.randint(0, blocks)
    attend = Attend(heads=heads, queries=queries, length=length, stride=stride, addr=addr)
    return attended(made, replace(attend, newest=random.getrandbits(32)), usual)


def attend_window(made, heads, queries, length):
    """ATTEND to a window, in rings that have as many blocks as it needs, or some more."""
    random, (first, end), block = made.random, made.world.cache, made.config.kv_block_units
    most = largest(Attend, "window")
    window = random.choice([1, 31, 32, 33, length, random.randint(1, 200), made.edge(1, most)])
    blocks = kv.ring_blocks(length, window) + random.choice([0, 0, 1, 2])
    stride = blocks * block
    if heads * stride > made.world.end:
        return None
    addr = made.edge(0, made.world.end - heads * stride)
    usual = heads * stride <= end - first and random.random() < 0.6
    if usual:
        addr = first + block * random.randint(0, (end - first - heads * stride) // block)
    attend = Attend(
        heads=heads,
        queries=queries,
        length=length,
        window=window,
        stride=stride,
        addr=addr,
        newest=addr + block * made.edge(0, blocks - 1),
    )
    return attended(made, attend, usual)


def attended(made, attend, usual):
    """An ATTEND with what it writes, and QUANT of its queries: of `usual` numbers, or of any."""
    random, config, heads, queries = made.random, made.config, attend.heads, attend.queries
    dim, lanes, count = config.head_dim, config.lanes, heads * queries
    quant = heads_quantized(made, Dest.QUERY, count)
    numerators, denominators = count * dim, count * lanes
    dst, sums = made.place(numerators, lanes), made.place(denominators, lanes)
    if numerators > config.vector_words // 4:  # or they would hardly ever be apart
        dst, sums = random.choice([(0, numerators), (denominators, 0)])
        quant = Quant(dest=Dest.QUERY, outer=count, inner=dim, a=config.vector_words - dim)
    return quant and [
        *calmed(made, quant, odds=usual),
        replace(attend, dst=dst, sums=sums, cap=random.getrandbits(1) if config.score_cap else 0),
    ]

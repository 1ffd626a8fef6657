"""Pieces of random programs that fill queues, the weight buffer, token counters and the write port.

Each function adds to a :class:`~.generator.Growing`.
"""

from dataclasses import replace

from rtl.spec.config import GROUP
from rtl.spec.isa import Dest, Embed, Loop, Quant, Stream, Sync, Unit, Vector
from rtl.spec.limits import STREAMS_AHEAD, TOKENS_AHEAD
from rtl.top import QUEUE_DEPTHS

from . import caches, pieces
from .control import counted
from .pieces import embed_units, multiplied, quantized


__all__ = ["CROWDS"]


def delay(made):
    """A VECTOR that takes long."""
    words, lanes = made.config.vector_words, made.config.lanes
    return Vector(
        outer=1, inner=min(words, 2048 * lanes, (1 << 14) - lanes), b_const=1, b_value=0x3F800000
    )


def queue(made):
    """More instructions than a queue holds, while its unit waits for VECTOR."""
    unit = made.random.choice([unit for unit in Unit if unit != Unit.STREAM])
    wait = [] if unit == Unit.VECTOR else made.sync(Unit.VECTOR, unit)
    made.add([delay(made), *wait, *[Sync(unit=unit)] * (QUEUE_DEPTHS[unit] + 3)])


def streams(made):
    """As many STREAMs as may be ahead, and more, while LINEAR waits; the first fills the buffer."""
    config, tall, table = made.config, made.world.tall, made.world.tables[0]
    units = embed_units(config, table.format, table.groups)
    last = len(made.tokens) - 1
    insns = [quantized(made, column, tall.groups, 0) for column in range(last + 1)]
    insns += [delay(made), *made.sync(Unit.VECTOR, Unit.LINEAR)]
    fetches = [Stream(addr=tall.addr, size=tall.units), *[Stream(addr=table.addr, size=units)] * 16]
    takers = [
        multiplied(made, tall, 0, last, odds=0.3),
        *(
            Embed(
                format=table.format,
                row=n,
                groups=table.groups,
                dst=made.place(32 * table.groups, 1),
            )
            for n in range(16)
        ),
    ]
    insns += fetches[:STREAMS_AHEAD]
    for n, taker in enumerate(takers):
        insns.append(taker)
        insns += fetches[n + STREAMS_AHEAD :][:1]
    made.add(insns)


def tokens(made):
    """Many tokens in a counter, taken one by one by their taker."""
    random, start, before = made.random, len(made.insns), made.order
    (giver, taker), counter = random.choice(list(made.counters.items()))
    count = made.edge(1, TOKENS_AHEAD)
    made.attempt(
        start,
        [
            Loop(length=1, **counted(made, count)),
            Sync(unit=giver, give=counter),
            Loop(length=1, **counted(made, count)),
            Sync(unit=taker, take=counter),
        ],
        before,
    )


def overwrite(made):
    """Something that one unit writes, and that another writes over, once it has a token of the
    first, while VECTOR has the vector memory's only write port to itself most of the time.

    The second goes before the first at that port: if the first says too early that it is done, its
    last words come last.
    """
    random, words = made.random, made.config.vector_words
    giver, taker = random.choice(
        [(Unit.LOAD, Unit.LINEAR), (Unit.LOAD, Unit.ATTENTION), (Unit.ATTENTION, Unit.LINEAR)]
    )
    half, lanes = words // 2, made.config.lanes
    load = pieces.load(made)
    load[0] = replace(load[0], size=min(load[0].size, 6), dst=16 * random.randrange(half // 16 - 6))
    attend, embed = caches.attend(made), pieces.embed(made)
    if attend is None or embed is None:
        return
    heads, queries = min(attend[-1].heads, 3), attend[-1].queries
    attend = [
        Quant(dest=Dest.QUERY, outer=1, inner=heads * queries * made.config.head_dim, a=half),
        replace(
            attend[-1],
            heads=heads,
            dst=lanes * random.randrange(half // lanes // 4),
            sums=half // 2,
        ),
    ]
    first = {Unit.LOAD: load, Unit.ATTENTION: attend}[giver]
    last = random.choice(made.last_written(first[-1])) // lanes * lanes
    # At the start of what the second writes, or not.
    last -= random.choice([0, 0, lanes * random.randrange(1 + min(GROUP, last) // lanes)])
    second = {
        Unit.LINEAR: [replace(embed[1], dst=last)],
        Unit.ATTENTION: [attend[0], replace(attend[1], dst=last)],
    }[taker]
    streams = embed[:1] if taker == Unit.LINEAR else []
    busy = [
        Vector(
            outer=1,
            inner=lanes * random.choice([16, 40, 100, 256]),
            d=half + 1024,
            a=half + 1024,
            b_const=1,
            b_value=0x3F800000,
            c_const=1,
        )
    ] * random.randint(1, 6)
    # ATTEND takes what QUANT has sent before VECTOR does anything else.
    middle = [*busy, *made.sync(giver, taker)] if taker == Unit.LINEAR else made.sync(giver, taker)
    made.add([*streams, *first, *middle, *second, *(busy if taker == Unit.ATTENTION else [])])


CROWDS = {queue: 2, streams: 0.5, tokens: 1, overwrite: 5}

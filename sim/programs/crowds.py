"""Pieces that fill what holds something: queues, the buffer of weights, token counters.

Each function adds to a :class:`~.generator.Growing`.
"""

from rtl.isa import Embed, Loop, Stream, Sync, Unit, Vector
from rtl.limits import STREAMS_AHEAD, TOKENS_AHEAD
from rtl.top import QUEUE_DEPTHS

from .control import counted
from .pieces import embed_units, multiplied, quantized


__all__ = ["CROWDS"]


def delay(made):
    """A VECTOR that takes long."""
    words, lanes = made.config.vector_words, made.config.lanes
    return Vector(outer=1, inner=min(words, 2048 * lanes, (1 << 14) - lanes), b_const=1, b_value=0x3f800000)


def queue(made):
    """More instructions than a queue holds, while its unit waits for VECTOR."""
    unit = made.random.choice([unit for unit in Unit if unit != Unit.STREAM])
    wait = [] if unit == Unit.VECTOR else made.sync(Unit.VECTOR, unit)
    made.add([delay(made), *wait, *[Sync(unit=unit)] * (QUEUE_DEPTHS[unit] + 3)])


def streams(made):
    """As many STREAMs as may be ahead, and more, while LINEAR waits; the first fills the buffer."""
    config, tall, table = made.config, made.world.tall, made.world.tables[0]
    units = embed_units(config, table.groups)
    last = len(made.tokens) - 1
    insns = [quantized(made, column, tall.groups, 0) for column in range(last + 1)]
    insns += [delay(made), *made.sync(Unit.VECTOR, Unit.LINEAR)]
    fetches = [Stream(addr=tall.addr, size=tall.units), *[Stream(addr=table.addr, size=units)] * 16]
    takers = [multiplied(made, tall, 0, last),
              *(Embed(row=n, groups=table.groups, dst=made.place(32 * table.groups, 1)) for n in range(16))]
    insns += fetches[:STREAMS_AHEAD]
    for n, taker in enumerate(takers):
        insns.append(taker)
        insns += fetches[n + STREAMS_AHEAD:][:1]
    made.add(insns)


def tokens(made):
    """Many tokens in a counter, taken one by one by their taker."""
    random, start, before = made.random, len(made.insns), made.order
    (giver, taker), counter = random.choice(list(made.counters.items()))
    count = made.edge(1, TOKENS_AHEAD)
    made.attempt(start, [Loop(length=1, **counted(made, count)), Sync(unit=giver, give=counter),
                         Loop(length=1, **counted(made, count)), Sync(unit=taker, take=counter)], before)


CROWDS = {queue: 2, streams: 0.5, tokens: 1}

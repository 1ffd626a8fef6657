"""Events of :data:`~rtl.spec.csr.COUNTERS`: what units are at in a cycle, seen from their ports."""

from functools import reduce
from operator import or_

from amaranth import Const

from ..spec.isa import Unit


__all__ = ["events"]


def waits(*outputs):
    """Somebody does not take what is offered."""
    return _any(o.valid & ~o.ready for o in outputs)


def lacks(*inputs):
    """What could be taken is not there."""
    return _any(i.ready & ~i.valid for i in inputs)


def moves(stream):
    """Something is handed over."""
    return stream.valid & stream.ready


def _any(conditions):
    return reduce(or_, conditions)


def events(units, queues, sequencer, reader, writer):
    """The event of each counter, by its name.

    Parameters
    ----------
    units, queues : mapping of :class:`~rtl.spec.isa.Unit` to component
    sequencer, reader, writer : component
        As in :class:`~rtl.top.Accelerator`.
    """
    load, stream, linear, vector, attention = (units[unit] for unit in Unit)
    starved = {
        Unit.LOAD: lacks(load.data),
        Unit.LINEAR: linear.starved,
        # It takes queries of the next head while it works on this one's KV.
        Unit.ATTENTION: lacks(attention.data, attention.query, attention.kv)
        & ~moves(attention.data),
    }
    blocked = {
        Unit.LOAD: waits(load.req, load.write),
        Unit.STREAM: waits(stream.req),
        Unit.LINEAR: waits(linear.write),
        Unit.VECTOR: waits(vector.act, vector.query, vector.kv),
        Unit.ATTENTION: waits(attention.req, attention.line, attention.write),
    }
    found = {
        "sequencer_busy": sequencer.busy,
        "sequencer_blocked": sequencer.busy & waits(*sequencer.queues),
    }
    for unit in Unit:
        name, tokens = unit.name.lower(), queues[unit].tokens
        token, starving = tokens.valid & ~tokens.done, starved.get(unit, Const(0, 1))
        found[f"{name}_busy"] = units[unit].busy | token
        if unit in starved:
            found[f"{name}_starved"] = units[unit].busy & starving & ~token
        found[f"{name}_blocked"] = token | units[unit].busy & blocked[unit] & ~starving
        found[f"{name}_token"] = token
    weights, kv, loaded, fetched = reader.data
    return found | {
        "weight_beats": moves(weights),
        "kv_beats": moves(kv),
        "load_beats": moves(loaded),
        "fetch_beats": moves(fetched),
        "write_beats": writer.axi.wvalid & writer.axi.wready,
    }

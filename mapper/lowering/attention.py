"""Rotary embedding, the KV cache, and attention."""

from rtl.spec.isa import Append as AppendInsn, Attend as AttendInsn, Dest, Func, Quant
from rtl.spec.limits import QUERIES
from sw_ref.graph import Attend, Rope
from sw_ref.sequences import RECIPROCAL

from ..nodes import Append, AttendCache
from ..sequencer_registers import COLUMN_WORDS, KV_BLOCK_AT, KV_LAYER, POSITION
from . import Lowering, lowers


def quantize_heads(to, dest, area):
    to.emit(Quant(dest=dest, outer=1, inner=area.size, a=area.start, a_reg=area.reg))


@lowers(Rope)
class LowerRope(Lowering):
    """Rotate elements i and i + head_dim / 2 of each head, a pair."""

    in_place = begins_early = True

    def temporaries(self, node, config):
        return {"from_high": node.size // 2, "from_low": node.size // 2}

    def emit(self, node, to):
        dim, half = node.head_dim, node.head_dim // 2
        (low, angles), out = (to.at(name) for name in node.inputs), to.at(node.name)
        high, cos, sin = low[half:], angles[:half], angles[half:]
        from_high, from_low = (to.at(node.name, name) for name in ("from_high", "from_low"))
        for func, d, a, b, c, strides in [
            (Func.NMADD, from_high, high, sin, 0.0, {"d": half, "a": dim}),
            (Func.MADD, from_low, low, sin, 0.0, {"d": half, "a": dim}),
            (Func.MADD, out, low, cos, from_high, {"d": dim, "a": dim, "c": half}),
            (Func.MADD, out[half:], high, cos, from_low, {"d": dim, "a": dim, "c": half}),
        ]:
            to.asm.vector(func, d, a, b, c, inner=half, outer=node.size // dim, strides=strides)


def append(node, to, inputs):
    """Quantize and append keys, then values: at once, where they lie side by side."""
    keys, values = (to.at(name) for name in inputs)
    together = keys.start + keys.size == values.start
    if together:
        quantize_heads(to, Dest.KV, keys.with_next(values))
    for value, area in enumerate((keys, values)):
        if not together:
            quantize_heads(to, Dest.KV, area)
        to.emit(
            AppendInsn(
                value=value,
                heads=node.kv_heads,
                addr=to.memory.kv,
                addr_reg=KV_BLOCK_AT,
                stride=to.memory.kv_head_units,
                position_reg=POSITION,
            )
        )


def attend(node, to):
    """Quantize the queries, attend, and divide by the denominators.

    One pass over each KV head, or several where more queries share it than fit.
    """
    dim, lanes, out = node.head_dim, to.config.lanes, to.at(node.name)
    d, r, u = (to.at(node.name, name) for name in ("d", "r", "u"))
    shared, units = node.heads // node.kv_heads, to.memory.kv_head_units
    most = min(to.config.queries, QUERIES)
    quantize_heads(to, Dest.QUERY, to.at(node.inputs[0]))
    if shared <= most:
        passes = [(0, node.kv_heads, 0, shared)]
    else:
        passes = [
            (head, 1, first, min(most, shared - first))
            for head in range(node.kv_heads)
            for first in range(0, shared, most)
        ]
    for head, heads, first, queries in passes:
        query = head * shared + first
        to.emit(
            AttendInsn(
                heads=heads,
                queries=queries,
                stride=units,
                addr=to.memory.kv + head * units,
                addr_reg=KV_LAYER,
                length=1,
                length_reg=POSITION,
                dst=out.start + query * dim,
                dst_reg=COLUMN_WORDS,
                sums=d.start + query * lanes,
                sums_reg=COLUMN_WORDS,
            )
        )
    to.asm.steps(RECIPROCAL, {"d": d, "r": r, "u": u}, inner=node.heads * lanes)
    to.asm.vector(
        Func.MADD,
        out,
        out,
        ("fill", r),
        0.0,
        inner=dim,
        outer=node.heads,
        strides={"d": dim, "a": dim, "b": lanes},
    )


@lowers(Append)
class LowerAppend(Lowering):
    """Quantize keys and values, and append them to the KV cache."""

    position = True

    def words(self, node, config):
        return 0

    def emit(self, node, to):
        append(node, to, node.inputs)


@lowers(AttendCache)
class LowerAttendCache(Lowering):
    """Attention to what is in the KV cache."""

    position = begins_early = True

    def temporaries(self, node, config):
        return dict.fromkeys("dru", node.heads * config.lanes)

    def emit(self, node, to):
        attend(node, to)


@lowers(Attend)
class LowerAttend(LowerAttendCache):
    """Keys and values into the KV cache, then attention to what is there."""

    def emit(self, node, to):
        append(node, to, node.inputs[1:])
        attend(node, to)

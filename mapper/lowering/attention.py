"""Rotary embedding, the KV cache, and attention."""

from rtl.spec.isa import Append as AppendInsn, Attend as AttendInsn, Dest, Func, Quant
from rtl.spec.limits import QUERIES
from sw_ref.graph import Rope
from sw_ref.sequences import RECIPROCAL

from ..nodes import Append, AttendCache, Pad
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


@lowers(Pad)
class LowerPad(Lowering):
    """Heads, each with zeros behind it."""

    begins_early = True

    def emit(self, node, to):
        x, out, dim = to.at(*node.inputs), to.at(node.name), node.head_dim
        heads, rest = node.size // node.padded, node.padded - dim
        strides = {"d": node.padded, "a": dim}
        to.asm.vector(Func.MADD, out, x, 1.0, 0.0, inner=dim, outer=heads, strides=strides)
        # Whatever is finite, times zero: a head's first line, since padding may be longer than it.
        to.asm.vector(
            Func.MADD,
            out[dim:],
            ("fill", x),
            0.0,
            0.0,
            inner=rest,
            outer=heads,
            strides={"d": node.padded, "a": dim},
        )


@lowers(Append)
class LowerAppend(Lowering):
    """Quantize keys and values, and append them to the KV cache: at once, where they lie side by
    side."""

    position = True

    def words(self, node, config):
        return 0

    def emit(self, node, to):
        keys, values = (to.at(name) for name in node.inputs)
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
                    stride=to.cache.head_units,
                    position_reg=POSITION,
                )
            )


@lowers(AttendCache)
class LowerAttendCache(Lowering):
    """Quantize the queries, attend to what is in the KV cache, and divide by the denominators.

    One pass over each KV head, or several where more queries share it than fit.
    """

    position = begins_early = True

    def temporaries(self, node, config):
        found = dict.fromkeys("dru", node.heads * config.lanes)
        if node.padded > node.head_dim:
            found["n"] = node.heads * node.padded
        return found

    def emit(self, node, to):
        padded, lanes, out = node.padded, to.config.lanes, to.at(node.name)
        d, r, u = (to.at(node.name, name) for name in ("d", "r", "u"))
        n = to.at(node.name, "n") if padded > node.head_dim else out
        shared, units = node.heads // node.kv_heads, to.cache.head_units
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
            addr = to.memory.kv + head * units
            to.emit(
                AttendInsn(
                    heads=heads,
                    queries=queries,
                    stride=units,
                    addr=addr,
                    addr_reg=KV_LAYER,
                    length=1,
                    length_reg=POSITION,
                    dst=n.start + query * padded,
                    dst_reg=COLUMN_WORDS,
                    sums=d.start + query * lanes,
                    sums_reg=COLUMN_WORDS,
                    cap=int(node.cap),
                    **self.window(to.cache, addr),
                )
            )
        to.asm.steps(RECIPROCAL, {"d": d, "r": r, "u": u}, inner=node.heads * lanes)
        to.asm.vector(
            Func.MADD,
            out,
            n,
            ("fill", r),
            0.0,
            inner=node.head_dim,
            outer=node.heads,
            strides={"d": node.head_dim, "a": padded, "b": lanes},
        )

    def window(self, cache, addr):
        """Fields for a window: the last of its positions are in the block that KV_BLOCK_AT says."""
        if not cache.window:
            return {}
        return {"window": cache.window, "newest": addr, "newest_reg": KV_BLOCK_AT}

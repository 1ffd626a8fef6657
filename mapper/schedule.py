"""Schedule: the program of a Llama-family model.

One program serves every position and every number of columns: layers and columns are loops,
addresses are expressions over the loop registers and the host's position. The weight stream is one
instruction for all layers, so nothing ever holds it up but its own buffer.
"""

from rtl.spec.config import KV_BLOCK
from rtl.spec.isa import (Append, Attend, Dest, Embed, Func, Halt, Load, MatMul, Quant, Scalar, Source,
                     Stream, Sync, Token, Unit)
from rtl.spec.limits import QUERIES
from sw_ref.sequences import RECIPROCAL, SILU_GATE, norm_scale

from .assembler import Assembler
from .layout import ffn_chunks


__all__ = ["COLUMN_WORDS", "schedule"]


# Registers.
POSITION, KV_BLOCK_AT, COLUMN, COLUMN_WORDS, GAINS, KV_LAYER, TEMP = range(1, 8)
# After a loop over the columns COLUMN is their number; added to -1, in four bits, the last one's.
LAST_COLUMN = {"column": 15, "column_reg": COLUMN}

# Tokens, named by who waits for what.
ACTS, RESULT, GAINS_READY, GAINS_FREE, ATTENDED = range(1, 6)

LINEAR, VECTOR, LOAD, ATTENTION = Unit.LINEAR, Unit.VECTOR, Unit.LOAD, Unit.ATTENTION


class _Schedule:
    def __init__(self, config, model, memory, vector, layer, head):
        self.config, self.model = config, model
        self.memory, self.at = memory, vector
        self.layer, self.head = {m.name: m for m in layer}, head
        self.asm = Assembler(config.lanes)

    def emit(self, *insns):
        self.asm.emit(*insns)

    def columns(self):
        """Loop over the columns in use, counting in COLUMN; :meth:`next_column` ends the body."""
        self.emit(Scalar(rd=COLUMN))
        return self.asm.loop(source=Source.COLUMNS.value)

    def place_column(self):
        self.emit(Scalar(rd=COLUMN_WORDS, source=COLUMN, factor=self.at.column_words))

    def place_position(self):
        self.emit(
            Scalar(rd=POSITION, source=COLUMN, factor=1, plus=Source.POSITION.value),
            Scalar(rd=KV_BLOCK_AT, source=POSITION, shift=KV_BLOCK.bit_length() - 1,
                   factor=self.config.kv_block_units, plus=KV_LAYER))

    def next_column(self):
        self.emit(Scalar(rd=COLUMN, source=COLUMN, factor=1, offset=1))

    def program(self):
        self.embed()
        self.emit(Sync(unit=VECTOR, give=GAINS_FREE),
                  Stream(addr=self.memory.layers, size=self.memory.layers_units),
                  Scalar(rd=GAINS), Scalar(rd=KV_LAYER))
        with self.asm.loop(count=len(self.model.layers)):
            self.attention_block()
            self.feed_forward()
            self.emit(Scalar(rd=GAINS, source=GAINS, factor=1, offset=2 * self.memory.gain_units),
                      Scalar(rd=KV_LAYER, source=KV_LAYER, factor=1,
                             offset=self.memory.kv_layer_units))
        self.logits()
        self.emit(Halt())
        return self.asm

    def embed(self):
        block_shift = self.config.block_rows.bit_length() - 1
        with self.columns():
            self.place_column()
            self.emit(
                Token(rd=POSITION, source=COLUMN),
                Scalar(rd=TEMP, source=POSITION, shift=block_shift, factor=self.memory.embed_units),
                Stream(addr=self.memory.embedding, addr_reg=TEMP, size=self.memory.embed_units),
                Embed(row=0, row_reg=POSITION, groups=self.head.groups,
                      dst=self.at.x.start, dst_reg=COLUMN_WORDS),
                Scalar(rd=TEMP, source=COLUMN, factor=1, plus=Source.POSITION.value),
                Scalar(rd=TEMP, source=TEMP, factor=self.memory.rope_units),
                Load(addr=self.memory.rope, addr_reg=TEMP, size=self.memory.rope_units,
                     dst=self.at.rope.start, dst_reg=COLUMN_WORDS))
            self.next_column()
        self.asm.hand(LINEAR, VECTOR, RESULT)

    def load_gains(self, addr, reg, count):
        self.emit(
            Sync(unit=LOAD, take=GAINS_FREE),
            Load(addr=addr, addr_reg=reg, size=count * self.memory.gain_units,
                 dst=self.at.gains.start))
        self.asm.hand(LOAD, VECTOR, GAINS_READY)

    def weighted(self, which):
        """x times the gain of a norm."""
        gain = self.at.gains[which * self.model.hidden:(which + 1) * self.model.hidden]
        self.asm.vector(Func.MADD, self.at.normed, self.at.x, gain, 0.0, inner=self.model.hidden)

    def reciprocal_rms(self):
        """1 / rms(x) of the column, which stays in `at.rms`."""
        at, hidden = self.at, self.model.hidden
        s, v, h, u = at.scalars
        self.asm.vector(Func.DOT, s, at.x, at.x, inner=hidden)
        self.asm.steps(norm_scale(hidden, self.model.rms_eps),
                       {"s": s, "v": v, "h": h, "r": at.rms, "u": u}, inner=self.config.lanes)

    def norm(self, which):
        """Quantize x times the gain of a norm, for the products that follow.

        1 / rms(x) is one number, and products are linear: it comes after them, so that the core
        need not wait for it, and is found while the weights stream.
        """
        with self.columns():
            self.place_column()
            self.weighted(which)
            self.quant_act(self.at.normed, self.model.hidden)
            self.next_column()
        self.asm.hand(VECTOR, LINEAR, ACTS)
        with self.columns():
            self.place_column()
            self.reciprocal_rms()
            self.next_column()

    def quant_act(self, area, words):
        self.emit(Quant(dest=Dest.ACT, outer=1, inner=words, a=area.start, a_reg=area.reg,
                        column_reg=COLUMN))

    def quant_heads(self, dest, area, heads):
        self.emit(Quant(dest=dest, outer=1, inner=heads * self.model.head_dim, a=area.start,
                        a_reg=area.reg))

    def matmul(self, name, dst):
        m = self.layer[name]
        self.emit(MatMul(format=m.format, rows=m.rows, groups=m.groups, centre=m.centre,
                         dst=dst.start, stride=self.at.column_words, **LAST_COLUMN))
        self.emit(Sync(unit=LINEAR, give=RESULT))

    def rotate(self, area, heads):
        """Rotary embedding of `heads` heads, elements i and i + head_dim / 2 of each a pair.

        The norm's 1 / rms(x) is in the cosines and sines.
        """
        half, dim = self.model.head_dim // 2, self.model.head_dim
        cos, sin = self.at.turn[:half], self.at.turn[half:]
        low, high = area, area[half:]
        from_high, from_low = self.at.rotated
        for func, d, a, b, c, strides in [
            (Func.NMADD, from_high, high, sin, 0.0, {"d": half, "a": dim}),
            (Func.MADD, from_low, low, sin, 0.0, {"d": half, "a": dim}),
            (Func.MADD, low, low, cos, from_high, {"d": dim, "a": dim, "c": half}),
            (Func.MADD, high, high, cos, from_low, {"d": dim, "a": dim, "c": half}),
        ]:
            self.asm.vector(func, d, a, b, c, inner=half, outer=heads, strides=strides)

    def attention_block(self):
        model, at = self.model, self.at
        dim, lanes = model.head_dim, self.config.lanes
        self.load_gains(self.memory.gains, GAINS, 2)
        self.norm(0)
        self.matmul("kv", at.kv)
        self.matmul("q", at.q)
        # Keys and values are rotated, quantized and appended while the queries' rows stream.
        self.emit(Sync(unit=VECTOR, take=RESULT))
        with self.columns():
            self.place_column()
            self.place_position()
            self.asm.vector(Func.MADD, at.turn, at.rope, ("fill", at.rms), 0.0, inner=dim)
            self.rotate(at.kv, model.kv_heads)
            values = at.kv[model.kv_heads * dim:]
            self.asm.vector(Func.MADD, values, values, ("fill", at.rms), 0.0, inner=values.size)
            self.quant_heads(Dest.KV, at.kv, 2 * model.kv_heads)
            for value in (0, 1):
                self.emit(Append(value=value, heads=model.kv_heads, addr=self.memory.kv,
                                 addr_reg=KV_BLOCK_AT, stride=self.memory.kv_head_units,
                                 position_reg=POSITION))
            self.next_column()
        self.emit(Sync(unit=VECTOR, take=RESULT))
        with self.columns():
            self.place_column()
            self.place_position()
            self.rotate(at.q, model.heads)
            self.quant_heads(Dest.QUERY, at.q, model.heads)
            self.attend()
            self.asm.hand(ATTENTION, VECTOR, ATTENDED)
            d, r, u = at.sums
            self.asm.steps(RECIPROCAL, {"d": d, "r": r, "u": u}, inner=model.heads * lanes)
            self.asm.vector(Func.MADD, at.attended, at.attended, ("fill", r), 0.0, inner=dim,
                            outer=model.heads, strides={"d": dim, "a": dim, "b": lanes})
            self.quant_act(at.attended, model.heads * dim)
            self.next_column()
        self.asm.hand(VECTOR, LINEAR, ACTS)
        self.matmul("o", at.y)
        self.emit(Sync(unit=VECTOR, take=RESULT))

    def attend(self):
        """One pass over each KV head, or several where more queries share it than fit."""
        model, at = self.model, self.at
        shared, units = model.heads // model.kv_heads, self.memory.kv_head_units
        most = min(self.config.queries, QUERIES)
        if shared <= most:
            passes = [(0, model.kv_heads, 0, shared)]
        else:
            passes = [(head, 1, first, min(most, shared - first))
                      for head in range(model.kv_heads)
                      for first in range(0, shared, most)]
        for head, heads, first, queries in passes:
            query = head * shared + first
            self.emit(Attend(
                heads=heads, queries=queries, stride=units,
                addr=self.memory.kv + head * units, addr_reg=KV_LAYER,
                length=1, length_reg=POSITION,
                dst=at.attended.start + query * model.head_dim, dst_reg=COLUMN_WORDS,
                sums=at.sums[0].start + query * self.config.lanes, sums_reg=COLUMN_WORDS))

    def add(self, area):
        """x += area."""
        self.asm.vector(Func.MADD, self.at.x, area, 1.0, self.at.x, inner=self.model.hidden)

    def feed_forward(self):
        model, at = self.model, self.at
        with self.columns():
            self.place_column()
            self.add(at.y)
            self.next_column()
        self.norm(1)
        self.emit(Sync(unit=VECTOR, give=GAINS_FREE))
        chunks = ffn_chunks(model.ffn)
        for n, (start, end) in enumerate(chunks):
            self.matmul(f"gate_up{n}", at.gate_up[2 * start:])
        for start, end in chunks:
            self.emit(Sync(unit=VECTOR, take=RESULT))
            with self.columns():
                self.place_column()
                self.gate(start, end)
                self.next_column()
        with self.columns():
            self.place_column()
            self.quant_act(at.gate_up, model.ffn)
            self.next_column()
        self.asm.hand(VECTOR, LINEAR, ACTS)
        self.matmul("down", at.y)
        self.emit(Sync(unit=VECTOR, take=RESULT))
        with self.columns():
            self.place_column()
            self.add(at.y)
            self.next_column()

    def gate(self, start, end):
        """SiLU gate of one chunk; the results of all chunks end up side by side.

        The chunk's rows came out as gate, then up, at twice its start; what lies before that was
        read by the chunks before.
        """
        rows = end - start
        gate = self.at.gate_up[2 * start:2 * start + rows]
        areas = {"s": ("fill", self.at.rms), "g": gate, "up": self.at.gate_up[2 * start + rows:2 * end],
                 **dict(zip("rtu", self.at.chunk))}
        *steps, last = SILU_GATE
        self.asm.steps(steps, areas, inner=rows)
        self.asm.steps([last], areas | {"g": self.at.gate_up[start:end]}, inner=rows)

    def logits(self):
        """Final norm and the best-logits search of the last column, where the host wants them."""
        with self.asm.loop(source=Source.HEAD.value):
            self.emit(Stream(addr=self.memory.head, size=self.memory.head_units))
            self.load_gains(self.memory.final_gain, 0, 1)
            # Logits leave the machine: here the norm is complete before the product.
            with self.columns():
                self.place_column()
                self.weighted(0)
                self.reciprocal_rms()
                self.asm.vector(Func.MADD, self.at.normed, self.at.normed, ("fill", self.at.rms), 0.0,
                                inner=self.model.hidden)
                self.quant_act(self.at.normed, self.model.hidden)
                self.next_column()
            self.asm.hand(VECTOR, LINEAR, ACTS)
            self.emit(MatMul(format=self.head.format, rows=self.head.rows, groups=self.head.groups,
                             centre=self.head.centre, best=1, **LAST_COLUMN))


def schedule(config, model, memory, vector, layer, head):
    """The program, an :class:`~mapper.assembler.Assembler`."""
    return _Schedule(config, model, memory, vector, layer, head).program()

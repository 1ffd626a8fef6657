"""Matrix products, what feeds them, and what the host's tokens and positions look up."""

from rtl.spec.config import GROUP
from rtl.spec.isa import Dest, Embed, Load, MatMul, Quant, Scalar, Source, Stream, Token
from rtl.spec.numbers import UNIT_WORDS
from sw_ref.graph import Angles, Embedding, Head, PositionRow

from ..nodes import Product, Quantize
from ..sequencer_registers import COLUMN, COLUMN_WORDS, LAST_COLUMN, POSITION, TEMP
from . import Lowering, lowers


@lowers(Embedding)
class LowerEmbedding(Lowering):
    """The 16 rows of which the token's is one, streamed, and that row."""

    runs_ahead = begins_early = True

    def emit(self, node, to):
        memory = to.memory
        to.emit(
            Token(rd=POSITION, source=COLUMN),
            Scalar(
                rd=TEMP,
                source=POSITION,
                shift=UNIT_WORDS.bit_length() - 1,
                factor=memory.embed_units,
            ),
            Stream(addr=memory.embed_rows, addr_reg=TEMP, size=memory.embed_units),
            Embed(
                format=memory.embed_format,
                centre=memory.embed_centre,
                row=0,
                row_reg=POSITION,
                groups=node.size // GROUP,
                dst=to.at(node.name).start,
                dst_reg=COLUMN_WORDS,
            ),
        )


@lowers(Angles)
@lowers(PositionRow)
class LowerTable(Lowering):
    """The position's row of a table."""

    runs_ahead = begins_early = True

    def emit(self, node, to):
        units = node.size // UNIT_WORDS
        to.emit(
            Scalar(rd=TEMP, source=COLUMN, factor=1, plus=Source.POSITION.value),
            Scalar(rd=TEMP, source=TEMP, factor=units),
            Load(
                addr=to.memory.tables[node.name],
                addr_reg=TEMP,
                size=units,
                dst=to.at(node.name).start,
                dst_reg=COLUMN_WORDS,
            ),
        )


@lowers(Quantize)
class LowerQuantize(Lowering):
    """Into the activation buffer."""

    hands_over = True

    def words(self, node, config):
        return 0

    def emit(self, node, to):
        area = to.at(*node.inputs)
        to.emit(
            Quant(
                dest=Dest.ACT,
                outer=1,
                inner=node.size,
                a=area.start,
                a_reg=area.reg,
                column_reg=COLUMN,
            )
        )


@lowers(Product)
class LowerProduct(Lowering):
    """A matrix of the stream, or one for each of several formats, times the activations of all
    columns."""

    whole = runs_ahead = True

    def emit(self, node, to):
        dst = to.at(node.name).start
        for matrix in to.matrices(node.name):
            to.emit(
                MatMul(
                    rows=matrix.rows,
                    groups=matrix.groups,
                    dst=dst,
                    stride=to.place.column_words,
                    **LAST_COLUMN,
                )
            )
            dst += matrix.rows


@lowers(Head)
class LowerHead(Lowering):
    """The search for the best logits of the last column."""

    whole = True

    def words(self, node, config):
        return 0

    def emit(self, node, to):
        (m,) = to.matrices(node.name)
        to.emit(MatMul(rows=m.rows, groups=m.groups, best=1, **LAST_COLUMN))

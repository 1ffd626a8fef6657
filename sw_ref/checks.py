"""Rules of :mod:`rtl.spec.rules` that a single instruction can break, once its registers are
added.
"""

from dataclasses import dataclass

from rtl.spec import kv
from rtl.spec.config import GROUP, KV_BLOCK
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Func,
    Load,
    MatMul,
    Quant,
    Stream,
    Vector,
)
from rtl.spec.limits import POSITIONS
from rtl.spec.rules import REPEATED

from .legal import need


__all__ = ["Bounds", "operands", "check", "kv_units"]


@dataclass(frozen=True)
class Bounds:
    """What an instruction may touch.

    Attributes
    ----------
    config : :class:`~rtl.spec.config.Config`
    units : :class:`int`
        Units of DRAM.
    first, end : :class:`int`
        Those of them that may be written: from `first` to below `end`.
    """

    config: object
    units: int
    first: int
    end: int


def operands(insn):
    """Names of the operands that a Vector reads from memory."""
    unused = {
        Func.DOT: "c",
        Func.CLAMP: "c",
        Func.SCALE: "b",
        Func.NSCALE: "b",
        Func.NSCALE1: "b",
        Func.RECIP: "bc",
        Func.RSQRT: "bc",
    }.get(insn.func, "")
    return ["a", *(x for x in "bc" if x not in unused and not getattr(insn, f"{x}_const"))]


def kv_units(config, insn):
    """Units of DRAM, from its `addr` on, that each head of an Append or Attend reaches over."""
    if isinstance(insn, Append):
        return config.kv_block_units
    if insn.window:
        return insn.stride
    return -(-insn.length // KV_BLOCK) * config.kv_block_units


def _in_vector(bounds, what, start, words):
    most = bounds.config.vector_words
    need(
        start + words <= most,
        "vector",
        f"{what} within {most} words",
        f"words up to {start + words}",
    )


def _in_memory(bounds, addr, units):
    need(
        addr + units <= bounds.units,
        "memory",
        f"addresses below {bounds.units}",
        f"addresses up to {addr + units}",
    )


def _outside_area(bounds, addr, units):
    need(
        addr + units <= bounds.first or addr >= bounds.end,
        "area",
        f"nothing of the units {bounds.first} to {bounds.end}, which may be written",
        f"the units {addr} to {addr + units}",
    )


def _positive(insn, *names):
    for name in names:
        need(getattr(insn, name) >= 1, "size", f"`{name}` of at least 1", 0)


def _repeated(insn):
    _positive(insn, "outer", "inner")
    need(
        insn.outer * insn.inner <= REPEATED,
        "size",
        f"`outer` times `inner` of at most {REPEATED}",
        insn.outer * insn.inner,
    )


def _aligned(insn, to, *names):
    for name in names:
        need(
            getattr(insn, name) % to == 0,
            "align",
            f"`{name}` a multiple of {to}",
            getattr(insn, name),
        )


def _load(insn, bounds, columns):
    _positive(insn, "size")
    _aligned(insn, 16, "dst")
    _in_vector(bounds, "`dst`", insn.dst, 16 * insn.size)
    _in_memory(bounds, insn.addr, insn.size)
    _outside_area(bounds, insn.addr, insn.size)


def _stream(insn, bounds, columns):
    _positive(insn, "size")
    _in_memory(bounds, insn.addr, insn.size)
    _outside_area(bounds, insn.addr, insn.size)


def _matmul(insn, bounds, columns):
    _positive(insn, "rows", "groups")
    need(insn.column < columns, "column", f"`column` below the {columns} in use", insn.column)
    need(
        insn.act + insn.groups <= bounds.config.act_groups,
        "buffer",
        f"groups up to {bounds.config.act_groups}",
        f"groups up to {insn.act + insn.groups}",
    )
    if not insn.best:
        need(
            not insn.column or insn.stride >= insn.rows,
            "overlap",
            f"`stride` of at least the {insn.rows} rows",
            insn.stride,
        )
        _in_vector(bounds, "`dst`", insn.dst, insn.column * insn.stride + insn.rows)


def _embed(insn, bounds, columns):
    able = [fmt.name for fmt in bounds.config.embed_formats]
    need(insn.format.name in able, "format", f"an embedding in {', '.join(able)}", insn.format.name)
    _positive(insn, "groups")
    _in_vector(bounds, "`dst`", insn.dst, GROUP * insn.groups)


def _vector(insn, bounds, columns):
    lanes, used = bounds.config.lanes, operands(insn)
    _repeated(insn)
    _aligned(insn, lanes, "inner", "d", *used)
    _aligned(insn, lanes, "d_stride", *(f"{x}_stride" for x in used))
    lengths = {
        "d": lanes if insn.func == Func.DOT else insn.inner,
        **{x: lanes if getattr(insn, f"{x}_fill") else insn.inner for x in used},
    }
    for x, length in lengths.items():
        _in_vector(
            bounds,
            f"`{x}`",
            getattr(insn, x),
            (insn.outer - 1) * getattr(insn, f"{x}_stride") + length,
        )
    for x in used:
        _apart(insn, x, lengths)


def _apart(insn, x, lengths):
    """Check that a Vector's result and an operand are in place, or share nothing."""
    start, stride, length = getattr(insn, x), getattr(insn, f"{x}_stride"), lengths[x]
    in_place = (
        insn.func != Func.DOT
        and start == insn.d
        and length == lengths["d"]
        and (insn.outer == 1 or stride == insn.d_stride >= length)
    )
    need(
        in_place
        or _disjoint((insn.d, insn.d_stride, lengths["d"]), (start, stride, length), insn.outer),
        "overlap",
        f"the result in place of `{x}`, or apart from it",
        f"d={insn.d}+{insn.d_stride}n, {x}={start}+{stride}n, {length} words each",
    )


def _disjoint(one, other, count):
    """Whether two areas, (start, stride, length) `count` times, share no word."""
    (a, a_stride, a_length), (b, b_stride, b_length) = one, other
    if a + (count - 1) * a_stride + a_length <= b or b + (count - 1) * b_stride + b_length <= a:
        return True
    ours, theirs = (
        {w for n in range(count) for w in range(s + n * d, s + n * d + k)}
        for s, d, k in (one, other)
    )
    return not ours & theirs


def _quant(insn, bounds, columns):
    config = bounds.config
    to_act = insn.dest == Dest.ACT
    _repeated(insn)
    _aligned(insn, config.lanes, "a", "stride")
    _aligned(insn, GROUP if to_act else config.head_dim, "inner")
    _in_vector(bounds, "`a`", insn.a, (insn.outer - 1) * insn.stride + insn.inner)
    if to_act:
        need(insn.column < columns, "column", f"`column` below the {columns} in use", insn.column)
        last = insn.act + insn.outer * insn.inner // GROUP
        need(
            last <= config.act_groups,
            "buffer",
            f"groups up to {config.act_groups}",
            f"groups up to {last}",
        )


def _append(insn, bounds, columns):
    _positive(insn, "heads")
    reach = (insn.heads - 1) * insn.stride + kv_units(bounds.config, insn)
    _in_memory(bounds, insn.addr, reach)
    need(
        bounds.first <= insn.addr and insn.addr + reach <= bounds.end,
        "area",
        f"writes within the units {bounds.first} to {bounds.end}",
        f"writes to the units {insn.addr} to {insn.addr + reach}",
    )


def _ring(insn, units):
    """Check that the ring of an Attend with a window has whole blocks, and enough of them."""
    if not insn.window:
        return
    need(insn.stride % units == 0, "ring", f"`stride` a multiple of {units}", insn.stride)
    within = insn.newest - insn.addr
    need(
        0 <= within < insn.stride and within % units == 0,
        "ring",
        f"`newest` a multiple of {units} behind `addr`, and less than {insn.stride}",
        within,
    )
    least = kv.ring_blocks(insn.length, insn.window)
    need(insn.stride >= least * units, "ring", f"`stride` of {least} blocks", insn.stride // units)


def _attend(insn, bounds, columns):
    config = bounds.config
    _positive(insn, "heads", "queries", "length")
    need(
        insn.queries <= config.queries, "size", f"at most {config.queries} `queries`", insn.queries
    )
    need(insn.length <= POSITIONS, "positions", f"`length` of at most {POSITIONS}", insn.length)
    need(config.score_cap or not insn.cap, "cap", "a configuration with a `score_cap`", "none")
    _ring(insn, config.kv_block_units)
    _aligned(insn, config.lanes, "dst", "sums")
    _in_memory(bounds, insn.addr, (insn.heads - 1) * insn.stride + kv_units(config, insn))
    count = insn.heads * insn.queries
    _in_vector(bounds, "`dst`", insn.dst, count * config.head_dim)
    _in_vector(bounds, "`sums`", insn.sums, count * config.lanes)
    need(
        _disjoint((insn.dst, 0, count * config.head_dim), (insn.sums, 0, count * config.lanes), 1),
        "overlap",
        "numerators and denominators apart",
        f"dst={insn.dst}, sums={insn.sums}",
    )


CHECKS = {
    Load: _load,
    Stream: _stream,
    MatMul: _matmul,
    Embed: _embed,
    Vector: _vector,
    Quant: _quant,
    Append: _append,
    Attend: _attend,
}


def check(insn, bounds, columns):
    """Check an instruction of a unit, its registers added, where `columns` columns are in use.

    Raises :exc:`Broken`: (rule, expected, found).
    """
    if type(insn) in CHECKS:
        CHECKS[type(insn)](insn, bounds, columns)

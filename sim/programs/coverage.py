"""What random programs have covered.

| class | bins |
|--|--|
| instructions | each in each variant, with each number of columns |
| fields | of each field the least and the most that it may be, and something between; or all its values |
| registers | each field that gets a register's value added: it is nothing, something, or the sum wraps |
| units in flight | each set of units that are busy in the same cycle |
| tokens | each pair of units that one gives to and the other takes from |
| limits | what can be full, empty, or at its limit |
"""

from collections import Counter
from itertools import combinations

from rtl.spec.csr import BEST
from rtl.spec.isa import (
    Append,
    Dest,
    Embed,
    Func,
    Insn,
    Loop,
    MatMul,
    Quant,
    Scalar,
    Sync,
    Token,
    Unit,
    Vector,
)
from rtl.spec.limits import LOOP_DEPTH, POSITIONS, ROWS, TOKEN_COUNTERS, TOKENS_AHEAD
from rtl.top import QUEUE_DEPTHS

from .ranges import bin_of, counted, field_bins


__all__ = ["CLASSES", "Coverage"]


CLASSES = ("instructions", "fields", "registers", "units in flight", "tokens", "limits")
SYNCED = [unit for unit in Unit if unit != Unit.STREAM]
ENDS = ("least", "between", "most")
# Limits: name to the bins of each.
LIMITS = {
    **{f"queue of {unit.name}": ("full", "not full") for unit in Unit},
    "buffer of weights": ("full", "not full"),
    "tokens in a counter": ENDS,
    "loops in each other": tuple(range(LOOP_DEPTH + 1)),
    "length of the program": ENDS,
    "position": ENDS,
    "token": ENDS,
    "head": (False, True),
    "searches one right behind the other": (False, True),
    "running maximum of scores": ("stays", "grows"),
    "logits searched": ("none", "one", "fewer than kept", "as many as kept", "more than kept"),
}


# Bins that no program can reach, of a configuration, and why.
UNREACHABLE = {
    ("registers", op, "column", "added"): (
        lambda config: config.columns == 1,
        "the only column is 0",
    )
    for op in ("MATMUL", "QUANT")
}


def _variant(insn):
    match insn:
        case Vector():
            return (insn.func.name,)
        case Quant():
            return (insn.dest.name,)
        case Append():
            return ("values" if insn.value else "keys",)
    return ()


def _end(value, least, most):
    return {least: "least", most: "most"}.get(value, "between")


def searches(insn):
    """Whether an instruction searches the best logits."""
    return isinstance(insn, MatMul) and bool(insn.best)


def _searched(executed):
    """How many logits the last search was offered."""
    rows = next((insn.rows for insn in reversed(executed) if searches(insn)), 0)
    if rows > BEST:
        return "more than kept"
    return {0: "none", 1: "one", BEST: "as many as kept"}.get(rows, "fewer than kept")


class Coverage:
    """Counts bins of what was executed.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`

    Attributes
    ----------
    seen : :class:`collections.Counter`
        Bins, (class, ...): how many programs have reached each.
    """

    def __init__(self, config):
        self.config, self.seen = config, Counter()
        self.reachable = {
            each
            for each in self._bins()
            if each not in UNREACHABLE or not UNREACHABLE[each][0](config)
        }

    def _bins(self):
        variants = [
            ("MATMUL", name, what) for name in self.config.formats for what in ("best", "product")
        ]
        variants += [("VECTOR", func.name) for func in Func]
        variants += [("QUANT", dest.name) for dest in Dest]
        variants += [("APPEND", "keys"), ("APPEND", "values")]
        variants += [(name,) for name in ("LOAD", "STREAM", "EMBED", "ATTEND", "SYNC")]
        for columns in range(1, self.config.columns + 1):
            yield from (("instructions", *variant, columns) for variant in variants)
        yield from (("fields", *each) for each in field_bins(self.config))
        for op, cls in Insn.by_op.items():
            yield from (
                ("registers", op.name, name, how)
                for name in cls.relative
                for how in ("none", "added", "wraps")
            )
        for count in range(2, len(Unit) + 1):
            yield from (
                ("units in flight", *(unit.name for unit in units))
                for units in combinations(Unit, count)
            )
        yield from (
            ("tokens", giver.name, taker.name)
            for giver in SYNCED
            for taker in SYNCED
            if giver != taker
        )
        yield from (("limits", name, part) for name, parts in LIMITS.items() for part in parts)

    # What was reached

    def merge(self, other):
        """Count what another has seen, too, of the same configuration."""
        self.seen.update(other.seen)

    def ran(self, world, program, executed, formats, sim, grown=()):
        """Count a program that both devices agree on.

        Parameters
        ----------
        world : :class:`~.world.World`
        program : :class:`~.generator.Program`
        executed : list of (:class:`int`, :class:`~rtl.spec.isa.Insn`)
            Index in the program, and instruction with its registers added, of all that units
            executed.
        formats : list of :class:`str`
            Of the matrices that their MATMULs met, in order.
        sim : :class:`~sim.fpga.device.SimDevice`
            Has recorded it.
        grown : set of :class:`bool`
            Of its heads that have several blocks, from :class:`~.maxima.Maxima`.
        """
        self.seen.update(
            {
                ("instructions", insn.op.name, *_variant(insn), len(program.tokens))
                for _, insn in executed
                if not isinstance(insn, MatMul)
            }
            | set(self._products(program, executed, formats))
            | set(self._fields(world, program, executed))
            | set(self._tokens(executed))
            | set(self._flights(sim.transitions()))
            | {("limits", *each) for each in self._limits(program, executed, sim.peaks())}
            | {
                ("limits", "running maximum of scores", "grows" if each else "stays")
                for each in grown
            }
        )

    def _products(self, program, executed, formats):
        products = [insn for _, insn in executed if isinstance(insn, MatMul)]
        for insn, fmt in zip(products, formats, strict=True):
            what = "best" if insn.best else "product"
            yield "instructions", "MATMUL", fmt, what, len(program.tokens)

    def _fields(self, world, program, executed):
        control = [
            (n, insn)
            for n, insn in enumerate(program.insns)
            if isinstance(insn, (Loop, Scalar, Token))
        ]
        # One object stands for each that an instruction becomes.
        for pc, insn in {(pc, id(insn)): (pc, insn) for pc, insn in (*control, *executed)}.values():
            encoded = program.insns[pc]
            for name, value in counted(insn, self.config).items():
                yield "fields", insn.op.name, name, bin_of(insn.op, name, value, self.config, world)
                if name in insn.relative:
                    before = getattr(encoded, name)
                    how = "none" if value == before else "added" if value > before else "wraps"
                    yield "registers", insn.op.name, name, how

    def _tokens(self, executed):
        syncs = [insn for _, insn in executed if isinstance(insn, Sync)]
        givers = {insn.give: insn.unit for insn in syncs}
        for insn in syncs:
            if insn.take:
                yield "tokens", givers[insn.take].name, insn.unit.name

    def _flights(self, transitions):
        for bits in {int(bits) for bits in transitions[:, 1]}:
            units = [unit.name for unit in Unit if bits >> unit.value & 1]
            for count in range(2, len(units) + 1):
                yield from (("units in flight", *some) for some in combinations(units, count))

    def _limits(self, program, executed, peaks):
        full = {
            f"queue of {unit.name}": (unit.name.lower(), depth)
            for unit, depth in QUEUE_DEPTHS.items()
        }
        # Of the beats that there is room for, one has left the buffer for the register behind it.
        full["buffer of weights"] = "prefetch", self.config.prefetch_beats - 1
        for name, (counter, most) in full.items():
            yield name, "full" if peaks[counter] == most else "not full"
        for n in range(1, TOKEN_COUNTERS):
            if peaks[f"token{n}"]:
                yield "tokens in a counter", _end(peaks[f"token{n}"], 1, TOKENS_AHEAD)
        ends = []
        for pc, insn in enumerate(program.insns):
            ends = [end for end in ends if pc <= end]
            ends += [pc + insn.length] if isinstance(insn, Loop) else []
            yield "loops in each other", len(ends)
        yield "length of the program", _end(len(program.insns), 1, self.config.program_words)
        yield "position", _end(program.position, 0, POSITIONS - 1)
        yield from (("token", _end(token, 0, ROWS)) for token in program.tokens)
        linear = [insn for _, insn in executed if isinstance(insn, (MatMul, Embed))]
        for one, other in zip(linear, linear[1:]):
            yield "searches one right behind the other", bool(searches(one) and searches(other))
        yield "head", program.head
        if program.head:
            yield "logits searched", _searched([insn for _, insn in executed])

    # How much that is

    @property
    def missing(self):
        """Bins that were not reached."""
        return sorted(" ".join(map(str, each)) for each in self.reachable - set(self.seen))

    @property
    def share(self):
        """Share of the reachable bins that were reached."""
        return 1 - len(self.reachable - set(self.seen)) / len(self.reachable)

    def table(self):
        """Yield lines: of each class its bins that were reached, and all that can be."""
        rows = [(name, [each for each in self.reachable if each[0] == name]) for name in CLASSES]
        for name, bins in [*rows, ("all", self.reachable)]:
            reached = sum(each in self.seen for each in bins)
            yield f"{name:<16} {reached:5} of {len(bins):5} bins {100 * reached / len(bins):6.1f} %"

"""What random programs have covered: each instruction in each variant, with each number of columns."""

from collections import Counter

from rtl.isa import Append, Attend, Dest, Embed, Func, Load, MatMul, Quant, Stream, Sync, Vector


__all__ = ["Coverage"]


def _variant(insn):
    match insn:
        case MatMul():
            return insn.format.name, "best" if insn.best else "product"
        case Vector():
            return (insn.func.name,)
        case Quant():
            return (insn.dest.name,)
        case Append():
            return ("values" if insn.value else "keys",)
        case Load() | Stream() | Embed() | Attend() | Sync():
            return ()
    return None   # the sequencer's own


class Coverage:
    """Counts bins: (opcode, variant, columns in use) of what was executed.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
    """
    def __init__(self, config):
        self.config, self.seen = config, Counter()

    @property
    def reachable(self):
        """All bins that a program can reach."""
        variants = [("MATMUL", name, what) for name in self.config.formats for what in ("best", "product")]
        variants += [("VECTOR", func.name) for func in Func]
        variants += [("QUANT", dest.name) for dest in Dest]
        variants += [("APPEND", "keys"), ("APPEND", "values")]
        variants += [(name,) for name in ("LOAD", "STREAM", "EMBED", "ATTEND", "SYNC")]
        return {(*variant, columns) for variant in variants for columns in range(1, self.config.columns + 1)}

    @property
    def missing(self):
        """Bins that were not reached."""
        return sorted(map(str, self.reachable - set(self.seen)))

    @property
    def share(self):
        """Share of the reachable bins that were reached."""
        return 1 - len(self.reachable - set(self.seen)) / len(self.reachable)

    def executed(self, insn, columns):
        """Count an instruction, with its registers added."""
        variant = _variant(insn)
        if variant is not None:
            self.seen[(insn.op.name, *variant, columns)] += 1

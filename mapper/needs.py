"""What a model needs of a configuration, as the passes of its compilation find it."""

from dataclasses import asdict, dataclass, replace

from host.errors import UserError
from rtl.spec.config import HEAD_DIMS, MOST, Config
from rtl.spec.isa import MatMul
from rtl.spec.limits import POSITIONS
from rtl.spec.score_cap import MAX_CAP, MIN_CAP

from .compile import Compilation
from .model import Model


__all__ = ["Needs", "needs"]


# A field, what a configuration that has less of it has, and what the model needs.
SAID = {
    "columns": "{has} columns, the vector memory has room for {needs}",
    "lanes": "{has} lanes, half of a head is a multiple of {needs}",
    "head_dim": "heads of {has} elements, the model needs {needs}",
    "score_cap": "a score_cap of {has:g}, the model needs {needs:g}",
    "vector_words": "{has} words of vector memory, the model needs {needs}",
    "act_groups": "{has} groups of activations, the model needs {needs}",
    "program_words": "{has} instructions, the model needs {needs}",
}
AT_MOST = ("columns", "lanes")  # what a model's machine may have fewer of


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model needs of a configuration.

    Attributes
    ----------
    columns : :class:`int`
        Most columns, up to the configuration's, that the largest vector memory has room for.
    lanes : :class:`int`
        Most lanes, up to the configuration's, that divide what is rotated as one: half of a head.
    head_dim : :class:`int`
        Elements of the smallest attention heads that the model's fit in.
    score_cap : :class:`float`
        Cap of its scores, which the hardware has, or 0: then any will do.
    vector_words, act_groups, program_words : :class:`int`
        The least values of the fields of :class:`~rtl.spec.config.Config`: words with all columns,
        before any is rounded up to what a configuration may have.
    """

    columns: int
    lanes: int
    head_dim: int
    score_cap: float
    vector_words: int
    act_groups: int
    program_words: int

    def lacking(self, config: Config) -> dict[str, str]:
        """What the configuration does not have: fields, and what to say of each."""

        def enough(name, has, need):
            if name in AT_MOST:
                return has <= need
            return has == need or has > need and (name in MOST or not need)

        return {
            name: SAID[name].format(has=getattr(config, name), needs=need)
            for name, need in asdict(self).items()
            if not enough(name, getattr(config, name), need)
        }

    def values(self, names) -> dict[str, int]:
        """Values of fields that are enough: powers of two where a configuration must have such."""
        return {
            name: 1 << (need - 1).bit_length() if name in MOST else need
            for name, need in asdict(self).items()
            if name in names
        }


def lanes_of(model: Model, most: int) -> int:
    """The most lanes, up to `most`, of a line that half of a head is a multiple of."""
    if model.shape.rope is None:
        return most
    half = model.head_dim // 2
    return min(most, half & -half)


def needs(model: Model, config: Config, head: str | None = None) -> Needs:
    """What a model needs of a configuration that is large enough, and otherwise this one.

    It is enough for every context. Nothing is packed.

    Raises :exc:`~host.errors.UserError` if the model is beyond what any configuration may have, or
    needs a format that this one does not have.

    Parameters
    ----------
    head : :class:`str` or None
        As :class:`~mapper.compile.Compilation` takes it.
    """
    dims = [dim for dim in HEAD_DIMS if dim >= model.head_dim] or HEAD_DIMS[-1:]
    cap = model.shape.attention_cap
    if cap and not MIN_CAP <= cap <= MAX_CAP:
        raise UserError(
            f"{model.path}: scores are capped at {cap:g}, the machine takes caps from {MIN_CAP} to "
            f"{MAX_CAP}"
        )
    lanes = lanes_of(model, config.lanes)
    largest = replace(
        config,
        columns=1,
        lanes=lanes,
        head_dim=dims[0],
        score_cap=cap or config.score_cap,
        **MOST,
    )
    place = Compilation(model, largest, 1, head=head).placement
    room = largest.vector_words - place.words
    if room < 0:
        raise UserError(
            f"{model.path}: needs {place.words} words of vector memory for a column, the machine "
            f"takes {largest.vector_words}"
        )
    columns = min(config.columns, 1 + room // place.column_words)
    # A window takes instructions that a context below it does without.
    context = min(model.context, POSITIONS)
    whole = Compilation(model, replace(largest, columns=columns), context, head=head)
    insns = whole.draft.insns
    if len(insns) > largest.program_words:
        raise UserError(
            f"{model.path}: the program has {len(insns)} instructions, the machine takes "
            f"{largest.program_words}"
        )
    return Needs(
        columns=columns,
        lanes=lanes,
        head_dim=dims[0],
        score_cap=cap,
        vector_words=whole.values.words,
        act_groups=max(insn.act + insn.groups for insn in insns if isinstance(insn, MatMul)),
        program_words=len(insns),
    )

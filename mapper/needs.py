"""What a model needs of a configuration, as the passes of its compilation find it."""

from dataclasses import asdict, dataclass, replace

from host.errors import UserError
from rtl.spec.config import HEAD_DIMS, MOST, Config
from rtl.spec.isa import MatMul

from .compile import Compilation
from .model import Model


__all__ = ["Needs", "needs"]


# A field, what a configuration that has less of it has, and what the model needs.
SAID = {
    "columns": "{has} columns, the vector memory has room for {needs}",
    "head_dim": "heads of {has} elements, the model needs {needs}",
    "vector_words": "{has} words of vector memory, the model needs {needs}",
    "act_groups": "{has} groups of activations, the model needs {needs}",
    "program_words": "{has} instructions, the model needs {needs}",
}


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Sizes that a model needs of a configuration, which may have more of all but the first two.

    Attributes
    ----------
    columns : :class:`int`
        Most columns, up to the configuration's, that the largest vector memory has room for.
    head_dim, vector_words, act_groups, program_words : :class:`int`
        The least values of the fields of :class:`~rtl.spec.config.Config`: words with all columns,
        before any is rounded up to what a configuration may have.
    """

    columns: int
    head_dim: int
    vector_words: int
    act_groups: int
    program_words: int

    def lacking(self, config: Config) -> dict[str, str]:
        """What the configuration does not have: fields, and what to say of each."""

        def enough(name, has, need):
            return has <= need if name == "columns" else has == need or has > need and name in MOST

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


def needs(model: Model, config: Config, head: str | None = None) -> Needs:
    """What a model needs of a configuration that is large enough, and otherwise this one.

    No field depends on the context. Nothing is packed.

    Raises :exc:`~host.errors.UserError` if the model is beyond what any configuration may have, or
    needs a format that this one does not have.

    Parameters
    ----------
    head : :class:`str` or None
        As :class:`~mapper.compile.Compilation` takes it.
    """
    dims = [dim for dim in HEAD_DIMS if dim >= model.head_dim] or HEAD_DIMS[-1:]
    largest = replace(config, columns=1, head_dim=dims[0], **MOST)
    place = Compilation(model, largest, 1, head=head).placement
    room = largest.vector_words - place.words
    if room < 0:
        raise UserError(
            f"{model.path}: needs {place.words} words of vector memory for a column, the machine "
            f"takes {largest.vector_words}"
        )
    columns = min(config.columns, 1 + room // place.column_words)
    whole = Compilation(model, replace(largest, columns=columns), 1, head=head)
    insns = whole.draft.insns
    return Needs(
        columns=columns,
        head_dim=dims[0],
        vector_words=whole.values.words,
        act_groups=max(insn.act + insn.groups for insn in insns if isinstance(insn, MatMul)),
        program_words=len(insns),
    )

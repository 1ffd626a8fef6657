"""Prune a model to a sparse pattern with a calibration text, and write it as a folder."""

from dataclasses import dataclass
from pathlib import Path

from host.errors import UserError
from host.files import check_target
from host.language.tokenizer import Tokenizer
from host.progress import progress


__all__ = ["Pruned", "prune"]


WINDOW = 512  # tokens of a calibration sequence


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What pruning left of a model's layers.

    Attributes
    ----------
    name : :class:`str`
        Of the model that was written.
    kept, total : :class:`int`
        Weights that are not zero, and all.
    """

    name: str
    kept: int
    total: int


def prune(
    name: str,
    folder: str | Path,
    text: str,
    *,
    pattern: str = "2:4",
    density: float = 0.375,
    bits: int = 8,
    max_tokens: int = 16384,
) -> Pruned:
    """Prune a model in one shot (SparseGPT), and write it to a new folder.

    Parameters
    ----------
    name : :class:`str`
        A model that ``headrace.load`` takes.
    text : :class:`str`
        What to calibrate with, of which the first `max_tokens` tokens count: at least 2.
    pattern, density
        See :class:`mapper.prune.Pattern`.
    bits : :class:`int`
        Of a weight that stays: 4 or 8.
    """
    from mapper.prune import Pattern, prune
    from mapper.read import native
    from mapper.read.find import load
    from sw_ref.evaluation import windows

    chosen = Pattern(pattern, density)
    if Path(folder).exists():
        raise UserError(f"{folder}: exists already; give a new folder")
    check_target(folder)
    model = load(name)
    tokenizer = Tokenizer.from_json(model.tokenizer)
    ids = tokenizer.continuation(text)[:max_tokens]
    if len(ids) < 2:
        raise UserError(f"The calibration text must have at least 2 tokens, not {len(ids)}")
    with progress("pruning") as report:
        pruned = prune(model, windows(ids, min(WINDOW, model.context)), chosen, bits, report)
    native.save(pruned, folder, tokenizer.inner.to_str())
    layers = [linear for layer in pruned.layers for linear in layer.linears.values()]
    return Pruned(
        name=pruned.name,
        kept=sum(int((linear.codes != 0).sum()) for linear in layers),
        total=sum(linear.codes.size for linear in layers),
    )

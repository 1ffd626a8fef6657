"""Which files of which families run: ``python -m headrace.studies.families``.

A small random model of each family is made by `transformers`, saved as a folder, and written as
GGUF in each type, as `headrace quantize` does it. Each file is compiled, run on the functional
machine, and compared with float32 of the file's own weights. The table goes into docs/families.md:
the relative error, or the words with which a file is refused.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from host.errors import UserError, run_command
from host.files import replacing
from host.progress import steps
from mapper.families import FAMILIES
from mapper.model import Model
from mapper.read import gguf_model, hf_model
from mapper.write.gguf import KINDS
from sim.models.hf import HF_MODELS, SIZES, HfModel, save
from sim.models.logits import machine_logits
from sim.tools import ROOT
from sw_ref.float32 import Float32

from ..library.quantizing import quantize
from .document import rewrite, table


__all__ = ["AGREES", "Cell", "block", "cells", "error"]


PAGE = ROOT / "docs" / "families.md"
# Rows that all types have blocks for.
WIDE = dict(hidden_size=256, intermediate_size=256, head_dim=64, num_hidden_layers=2)
CONTEXT = 32
IDS = [int(n) for n in np.random.default_rng(5).integers(3, SIZES["vocab_size"], 24)]
# The largest relative error of logits: activations are int8, and weights are random and large.
AGREES = 0.2
FLOATS = {"floats": 8, "floats, 4 bits": 4}  # folders, and the bits that they are rounded to


@dataclass(frozen=True)
class Cell:
    """A file of a family: the relative error of its logits, or why it is refused."""

    family: str
    kind: str
    error: float | None = None
    refused: str | None = None


def error(model: Model) -> float:
    """The relative error of the functional machine, beside float32 of the same weights."""
    found = machine_logits(model, IDS, CONTEXT, columns=8)
    (expected,) = Float32(model)([IDS])
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def usual(family: str) -> HfModel:
    """The usual model of a family."""
    return next(its for its in HF_MODELS.values() if its.family == family)


def cell(family: str, kind: str, path: Path, read: Any) -> Cell:
    """What becomes of the file that `read` reads."""
    try:
        return Cell(family, kind, error=error(read()))
    except UserError as refusal:
        return Cell(family, kind, refused=str(refusal).removeprefix(f"{path}: "))


def cells(family: str, folder: Path) -> Iterator[Cell]:
    """Run all files of a family, which are made in a folder."""
    its = usual(family)
    wide = {key: size for key, size in WIDE.items() if its.options.get(key, size) is not None}
    save(folder, its.make(**wide))
    for kind, bits in FLOATS.items():
        yield cell(family, kind, folder, lambda bits=bits: hf_model.read(folder, bits))
    save(folder, its.make(**wide, **its.in_gguf))
    for kind in KINDS:
        path = folder / f"{kind}.gguf"

        def read(path=path, kind=kind):
            quantize(str(folder), path, kind)
            return gguf_model.read(path)

        yield cell(family, kind, folder, read)
        path.unlink(missing_ok=True)


def block(found: list[Cell]) -> Iterator[str]:
    """Yield the lines of the table, and the words of refusals behind it."""
    by_name = {(its.family, its.kind): its for its in found}
    families, kinds = (list(dict.fromkeys(names)) for names in zip(*by_name))
    words = list(dict.fromkeys(its.refused for its in found if its.refused))

    def text(its):
        if its.refused:
            return f"({words.index(its.refused) + 1})"
        return f"{100 * its.error:.1f}" if its.error <= AGREES else f"**{100 * its.error:.1f}**"

    rows = [[name, *(text(by_name[name, kind]) for kind in kinds)] for name in families]
    yield from table(["Family", *kinds], rows)
    if words:
        yield ""
        yield from (f"{n}. `{words}`" for n, words in enumerate(words, 1))


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.families", description=__doc__
    )
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="only print these")
    args, found = parser.parse_args(argv), []
    for name in args.families:
        if name not in FAMILIES:
            raise UserError(f"FAMILY must be one of {', '.join(FAMILIES)}, not {name!r}")
    with steps("running") as step:
        for name in args.families or FAMILIES:
            step(name)
            with TemporaryDirectory() as folder:
                found += cells(name, Path(folder))
    lines = list(block(found))
    if args.families:
        print("\n".join(lines))
    else:
        page = rewrite(PAGE.read_text(), {"families": lines}, "docs/families.md")
        with replacing(PAGE) as part:
            part.write_text(page)
        print(f"wrote {PAGE.relative_to(ROOT)}")
    apart = [its for its in found if its.error is not None and not its.error <= AGREES]
    if apart:
        names = ", ".join(f"{its.family} in {its.kind}" for its in apart)
        raise UserError(f"errors must be at most {AGREES:g}, not above: {names}")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("families", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

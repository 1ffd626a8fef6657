"""Descriptions of boards: each is a file `boards/NAME.toml`.

They are data, so that whoever runs images on a board, or simulates its memory, knows its
configuration without the tools that bitstreams are built with.
"""

from functools import cache
from pathlib import Path
from typing import Any

from .errors import UserError
from .tables import read_toml


__all__ = ["FOLDER", "descriptions"]


FOLDER = Path(__file__).parent.parent / "boards"


@cache
def descriptions(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Tables of all boards by name, in the order of their numbers. Raises :exc:`UserError`.

    A name is that of the file. `config` has fields of
    :class:`rtl.spec.config.Config`, as a file of a configuration; the rest are those of
    :class:`boards.board.Board`.
    """
    found = {}
    for path in sorted(folder.glob("*.toml")):
        table = read_toml(path)
        for field, kind in ("number", int), ("config", dict):
            if not isinstance(table.get(field), kind):
                what = "a number" if kind is int else "a table"
                raise UserError(f"{path}: {field} must be {what}, not {table.get(field)!r}")
        found[path.stem] = table
    return dict(sorted(found.items(), key=lambda item: item[1]["number"]))

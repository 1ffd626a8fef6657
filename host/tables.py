"""Dataclasses of what was read: a TOML file, whose names and types are checked."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from os import PathLike
from typing import Any, TypeVar

import msgspec

from .errors import UserError
from .image.schema import line
from .language.text import read_text


__all__ = ["made", "read_toml"]


MOST_BYTES = 1 << 20
Kind = TypeVar("Kind")


def read_toml(path: str | PathLike[str]) -> dict[str, Any]:
    """The values of a TOML file. Raises :exc:`UserError`."""
    text = read_text(path, most=MOST_BYTES)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: must be TOML: {error}") from None


def made(kind: type[Kind], values: Mapping[str, Any], where: str, base: str = "") -> Kind:
    """A dataclass of its fields' values. First their names and types are checked, then the rest.

    Raises :exc:`UserError`, one line that begins with `where`; of a field that is missing, it ends
    with `base`, which says where else that could be.
    """
    declared = {field.name: field for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(declared)}"
            raise UserError(f"{where}: there is no field {name!r}; {hint}")
    for name, field in declared.items():
        if name not in values and field.default is MISSING:
            raise UserError(f"{where}: needs {name}{base}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # What a dataclass itself refuses comes as its message.
        raise UserError(f"{where}: {line(error)}") from None

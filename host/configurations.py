"""Configurations that users choose: by name, from a TOML file, and with values changed.

A file has the fields of :class:`rtl.spec.config.Config`, and may have `base`, the name of a
configuration whose values hold for the rest. `dram` is a name, a TOML file of its own, or a table;
file and table have the fields of :class:`rtl.spec.dram.Dram`, again with a `base`::

    base = "wide"
    columns = 2
    [dram]
    base = "ddr4-2400-x64"
    latency = 60

A file's path is relative to the file that names it.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from rtl.spec.config import CONFIGS, Config
from rtl.spec.dram import DRAMS, Dram

from . import boards
from .errors import UserError
from .tables import made, read_toml


__all__ = ["changed", "from_dict", "named", "read", "settings", "to_dict", "to_toml"]


SUFFIX = ".toml"
DRAM = "dram"
UNNAMED = "of a table"
BASE = ", or a base that has it"
LISTS = ("formats", "patterns")  # which --set takes with commas


def named() -> dict[str, Config]:
    """Configurations that have names: sizes with each core, and those of boards."""
    return {**CONFIGS, **_of_boards()}


def read(name: str) -> Config:
    """The configuration of a name, or of a TOML file."""
    known = named()
    if not name.endswith(SUFFIX):
        if name not in known:
            raise UserError(
                f"the configuration must be one of {', '.join(known)}, or a file *{SUFFIX}; "
                f"not {name!r}"
            )
        return known[name]
    return _of_table(known, _file(name, DRAM), name)


def settings(texts: Iterable[str]) -> dict[str, Any]:
    """Values to change, from texts ``FIELD=VALUE``; of the memory's, ``dram.FIELD=VALUE``."""
    values = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (field and equals):
            raise UserError(f"--set must be FIELD=VALUE, such as columns=2; not {text!r}")
        outer, dot, inner = field.partition(".")
        if dot and outer == DRAM:
            table = values.get(DRAM, {})
            values[DRAM] = (table if isinstance(table, dict) else {"base": table}) | {
                inner: _value(value)
            }
        else:
            values[field] = _value(value)
            if field in LISTS and isinstance(values[field], str):
                values[field] = value.split(",")
    return values


def changed(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """A configuration with values changed, and named after them.

    `dram` may be a mapping of those of the memory's fields that change. Raises :exc:`UserError`,
    one line that begins with `where`.
    """
    if not values:
        return config
    named = {"name": f"{config.name}+{_label(values)}", **values}
    dram = named.get(DRAM)
    if isinstance(dram, Mapping):
        named[DRAM] = {"base": config.dram, **dram}
    return from_dict(named, where, config)


def from_dict(values: Mapping[str, Any], where: str, base: Config | None = None) -> Config:
    """A configuration of a mapping's values; of `base`'s for the rest, or of the fields' defaults.

    Raises :exc:`UserError`, one line that begins with `where`.
    """
    values = dict(values)
    if DRAM in values:
        values[DRAM] = _dram(values[DRAM], where)
    if base is not None:
        # All formats of another core, unless they are said too.
        rest = asdict(base) | (
            {} if values.get("core", base.core) == base.core else {"formats": ()}
        )
        values = rest | values
    return made(Config, values, where, BASE)


def to_dict(config: Config) -> dict[str, Any]:
    """All values of a configuration as :func:`from_dict` takes them: JSON's types."""
    values = {**asdict(config), "formats": list(config.formats), "patterns": list(config.patterns)}
    dram: Any = config.dram  # a Dram, though a name may be given for it
    if DRAMS.get(dram.name) == dram:
        values[DRAM] = dram.name
    return values


def to_toml(config: Config) -> str:
    """Text of a file that :func:`read` makes the same configuration of."""
    return tomli_w.dumps(to_dict(config))


@cache
def _of_boards():
    return {
        name: _of_table(CONFIGS, {**board["config"], "name": name}, f"{name}: config")
        for name, board in boards.descriptions().items()
    }


def _of_table(known, values, where):
    """A configuration of a table, whose `base` is one of those that are known."""
    base = _lookup(known, values.pop("base"), f"{where}: base") if "base" in values else None
    return from_dict(values, where, base)


def _label(values):
    """Values to change as a part of a name: columns=2,dram.latency=60."""

    def text(value):
        if isinstance(value, list | tuple):
            return ",".join(map(text, value))
        return (
            value.name
            if isinstance(value, Dram)
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )

    pairs = []
    for field, value in values.items():
        if field == DRAM and isinstance(value, Mapping):
            pairs += [
                (field if name == "base" else f"{field}.{name}", of) for name, of in value.items()
            ]
        else:
            pairs.append((field, value))
    return ",".join(f"{field}={text(value)}" for field, value in pairs)


def _dram(value, where):
    """A DRAM's values, of its name, a file or a table."""
    if isinstance(value, Dram):
        return asdict(value)
    if isinstance(value, str):
        return asdict(_named_dram(value, f"{where}: dram"))
    if not isinstance(value, dict):
        raise UserError(f"{where}: dram must be a name or a table, not {value!r}")
    about = f"{where}: dram"
    return asdict(_dram_of_table({"name": UNNAMED, **value}, about, f"{about}.base"))


def _named_dram(name, what, within=()):
    """The DRAM of a name or a file. `within` are the files that have it as their base."""
    if not _is_file(name):
        return _lookup(DRAMS, name, what, f", or a file *{SUFFIX}")
    if name in within:
        raise UserError(f"{what} must be another file, not {name!r}, which stands on this one")
    return _dram_of_table(_file(name, "base"), name, f"{name}: base", (*within, name))


def _dram_of_table(values, where, at, within=()):
    """A DRAM of a table, which may have a `base`: a DRAM, a name or a file. `at` says where."""
    base = values.pop("base", None)
    if base is not None:
        if not isinstance(base, Dram):
            base = _named_dram(base, at, within)
        changes = {name: value for name, value in values.items() if name != "name"}
        rest = asdict(base)
        if {"ck_ps", "bus_bytes", "ideal"} & set(changes):
            rest["peak"] = 0.0  # follows from these
        if values["name"] == UNNAMED:
            label = ",".join(f"{name}={value}" for name, value in changes.items())
            values["name"] = "+".join(filter(None, [base.name, label]))
        values = rest | values
    return made(Dram, values, where, BASE)


def _is_file(name):
    return isinstance(name, str) and name.endswith(SUFFIX)


def _file(path, names):
    """A file's values and its name; of the value `names`, where that is a file, the path."""
    values = {"name": Path(path).stem, **read_toml(path)}
    if _is_file(values.get(names)):
        values[names] = str(Path(path).parent / values[names])
    return values


def _lookup(known, name, what, other=""):
    if not isinstance(name, str) or name not in known:
        raise UserError(f"{what} must be one of {', '.join(known)}{other}, not {name!r}")
    return known[name]


def _value(text):
    """A value as TOML writes it, whose texts need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""Configurations that users choose: by name, from a TOML file, and with values changed.

A file has the fields of :class:`rtl.spec.config.Config`, and may have `base`, the name of a configuration
whose values hold for the rest. `dram` is a name, or a table with the fields of
:class:`rtl.spec.dram.Dram`, again with a `base`::

    base = "wide"
    columns = 2
    [dram]
    base = "ddr4-2400-x64"
    latency = 60
"""

import difflib
import tomllib
from dataclasses import MISSING, asdict, fields
from pathlib import Path

import msgspec
import tomli_w

from rtl.spec.config import CONFIGS, Config
from rtl.spec.dram import DRAMS, Dram

from .errors import UserError
from .image.schema import line
from .language.text import read_text


__all__ = ["add_arguments", "add_set", "chosen", "from_dict", "read", "to_dict", "to_toml"]


SUFFIX = ".toml"
MOST_BYTES = 1 << 20
DRAM = "dram"
LISTS = ("formats", "patterns")   # which --set takes with commas
REQUIRED = {kind: {f.name for f in fields(kind) if f.default is MISSING} for kind in (Config, Dram)}


def add_arguments(parser, default):
    """Options that choose a configuration; :func:`chosen` is what they say."""
    parser.add_argument("--config", metavar="NAME",
                        help=f"accelerator: {', '.join(CONFIGS)}, or a TOML file "
                             f"(default: {default})")
    add_set(parser)


def add_set(parser):
    """The option that changes values."""
    parser.add_argument("--set", metavar="FIELD=VALUE", action="append", default=[],
                        help="change a value of the configuration: columns=2, core=lut, "
                             "dram.latency=60; any number of times")


def chosen(args, default=None):
    """The configuration that parsed arguments say.

    `default`, a name or a :class:`~rtl.spec.config.Config`, is for arguments that name none.
    """
    config = default if args.config is None else args.config
    if not isinstance(config, Config):
        config = read(config)
    return changed(config, args.set)


def read(name):
    """The configuration of a name, or of a TOML file."""
    if not name.endswith(SUFFIX):
        if name not in CONFIGS:
            raise UserError(f"the configuration must be one of {', '.join(CONFIGS)}, or a file *{SUFFIX}; "
                            f"not {name!r}")
        return CONFIGS[name]
    values = _toml(read_text(name, most=MOST_BYTES), name)
    base = _named(CONFIGS, values.pop("base"), f"{name}: base") if "base" in values else None
    return from_dict({"name": Path(name).stem, **values}, name, base)


def changed(config, settings):
    """A configuration with values changed, each a text ``FIELD=VALUE``, and named after them."""
    if not settings:
        return config
    values = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        if not (field and equals):
            raise UserError(f"--set must be FIELD=VALUE, such as columns=2; not {setting!r}")
        outer, dot, inner = field.partition(".")
        if dot and outer == DRAM:
            table = values.get(DRAM, config.dram)
            if not isinstance(table, dict):
                table = {"base": table}
            values[DRAM] = {**table, inner: _value(text)}
        else:
            values[field] = _value(text)
            if field in LISTS and isinstance(values[field], str):
                values[field] = text.split(",")
    values.setdefault("name", f"{config.name}+{','.join(settings)}")
    return from_dict(values, f"--set {' '.join(settings)}", config)


def from_dict(values, where, base=None):
    """A configuration of a mapping's values; of `base`'s for the rest, or of the fields' defaults.

    Raises :exc:`UserError`, one line that begins with `where`.
    """
    values = dict(values)
    if DRAM in values:
        values[DRAM] = _dram(values[DRAM], where)
    if base is not None:
        # All formats of another core, unless they are said too.
        rest = asdict(base) | ({} if values.get("core", base.core) == base.core else {"formats": ()})
        values = rest | values
    return _made(Config, values, where)


def to_dict(config):
    """All values of a configuration as :func:`from_dict` takes them: JSON's types."""
    values = {**asdict(config), "formats": list(config.formats), "patterns": list(config.patterns)}
    if DRAMS.get(config.dram.name) == config.dram:
        values[DRAM] = config.dram.name
    return values


def to_toml(config):
    """Text of a file that :func:`read` makes the same configuration of."""
    return tomli_w.dumps(to_dict(config))


def _dram(value, where):
    """A DRAM's values, of its name or of a table."""
    if isinstance(value, str):
        return asdict(_named(DRAMS, value, f"{where}: dram"))
    if not isinstance(value, dict):
        raise UserError(f"{where}: dram must be a name or a table, not {value!r}")
    values = {**value}
    base, rest = values.pop("base", None), {"name": "of a table"}
    if base is not None:
        if not isinstance(base, Dram):
            base = _named(DRAMS, base, f"{where}: dram.base")
        rest = asdict(base)
        if values:
            rest["name"] += "+" + ",".join(f"{name}={value}" for name, value in values.items())
        if {"ck_ps", "bus_bytes", "ideal"} & set(values):
            rest["peak"] = 0.0   # follows from these
    return asdict(_made(Dram, rest | values, f"{where}: dram"))


def _named(known, name, what):
    if not isinstance(name, str) or name not in known:
        raise UserError(f"{what} must be one of {', '.join(known)}, not {name!r}")
    return known[name]


def _made(kind, values, where):
    """A dataclass of values that were read: their names and types are checked, then the rest."""
    known = [f.name for f in fields(kind)]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UserError(f"{where}: there is no field {name!r}; {hint}")
    for name in known:
        if name not in values and name in REQUIRED[kind]:
            raise UserError(f"{where}: needs {name}, or a base that has it")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # What a dataclass itself refuses comes as its message.
        raise UserError(f"{where}: {line(error)}") from None


def _value(text):
    """A value as TOML writes it, whose texts need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _toml(text, path):
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: must be TOML: {error}") from None

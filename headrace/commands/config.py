"""`headrace config`: a configuration with all its values, to be read, kept and changed."""

import inspect
import json
import re
from dataclasses import dataclass

from host import configurations
from rtl.spec.config import CORES, GROUP, PATTERNS, Config

from ..library.machines import DEFAULT, names
from ..library.models import load
from ..options import MachineOptions, add_set, read


PLACE = 110  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace config` is told."""

    machine: MachineOptions
    model: str | None
    json: bool


def register(commands):
    parser = commands.add_parser(
        "config",
        help="show a configuration, or make one",
        description="Print a configuration as TOML, each value with its meaning. Keep it in a "
        "file, change it, and "
        "give the file to --config of any command. Or change values with --set. With --model, it "
        "is the one that fits a model: other commands take it without --config.",
    )
    parser.add_argument(
        "config",
        metavar="NAME",
        nargs="?",
        default=DEFAULT,
        help=f"{', '.join(names())}, or a TOML file (default: {DEFAULT})",
    )
    add_set(parser)
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="change the values that the model needs, but those of --set",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    config = options.machine.machine()
    if options.model is not None:
        config = options.machine.fitting(load(options.model), config)
    if options.json:
        print(json.dumps({**configurations.to_dict(config), "digest": config.digest}))
        return
    print(f"# Digest {config.digest}: images for another digest do not run on it.")
    print(explained(configurations.to_toml(config)), end="")


def explained(text: str) -> str:
    """The TOML of a configuration with a comment on each of its values."""
    known = meanings()

    def comment(match):
        said = known.get(match[1])
        return f"# {said}\n{match[0]}" if said else match[0]

    top, table, rest = text.partition("\n[")
    return re.sub(r"^(\w+) = ", comment, top, flags=re.M) + table + rest


def meanings() -> dict[str, str]:
    """The first sentence on each field of :class:`~rtl.spec.config.Config`, from its docstring."""
    fields = re.findall(
        r"^(\w+) : .*\n((?:    .+\n?)+)", inspect.cleandoc(Config.__doc__ or ""), re.M
    )
    values = {"CORES": ", ".join(CORES), "PATTERNS": ", ".join(PATTERNS), "GROUP": str(GROUP)}

    def plain(text):
        """Without marks of references, and with what constants stand for."""
        text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", " ".join(text.split()))
        return re.sub(r"`(\w+)`", lambda match: values.get(match[1], match[1]), text)

    return {name: re.split(r"(?<=\.)\s", plain(about), maxsplit=1)[0] for name, about in fields}

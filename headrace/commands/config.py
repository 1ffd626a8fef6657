"""`headrace config`: a configuration with all its values, to be read, kept and changed."""

import json
from dataclasses import dataclass

from host import configurations

from ..library.machines import DEFAULT, names
from ..options import MachineOptions, add_set, read


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace config` is told."""
    machine: MachineOptions
    json: bool


def register(commands):
    parser = commands.add_parser(
        "config", help="show a configuration, or make one",
        description="Print a configuration as TOML. Keep it in a file, change it, and give the file "
                    "to --config of any command. Or change values with --set.")
    parser.add_argument("config", metavar="NAME", nargs="?", default=DEFAULT,
                        help=f"{', '.join(names())}, or a TOML file (default: {DEFAULT})")
    add_set(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    config = options.machine.machine()
    if options.json:
        print(json.dumps({**configurations.to_dict(config), "digest": config.digest}))
        return
    print(f"# Digest {config.digest}: images for another digest do not run on it.")
    print(configurations.to_toml(config), end="")

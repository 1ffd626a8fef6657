"""`headrace config`: a configuration with all its values, to be read, kept and changed."""

import json

from rtl.spec.config import CONFIGS

from host import configurations
from . import images


def register(commands):
    parser = commands.add_parser(
        "config", help="show a configuration, or make one",
        description="Print a configuration as TOML. Keep it in a file, change it, and give the file "
                    "to --config of any command. Or change values with --set.")
    parser.add_argument("config", metavar="NAME", nargs="?", default=images.DEFAULT_CONFIG,
                        help=f"{', '.join(CONFIGS)}, or a TOML file (default: "
                             f"{images.DEFAULT_CONFIG})")
    configurations.add_set(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=run)


def run(args):
    config = configurations.chosen(args)
    if args.json:
        print(json.dumps({**configurations.to_dict(config), "digest": config.digest}))
        return
    print(f"# Digest {config.digest}: images for another digest do not run on it.")
    print(configurations.to_toml(config), end="")

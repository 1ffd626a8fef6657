"""Commands of `headrace`, one per file: `register(subparsers)` declares it, `run(args)` does it.

A file is found by its folder. Its name is the command's, with `_` for `-`; `PLACE` says where
`headrace --help` lists it, at the end if there is none. A file whose name begins with `_` is no
command.

Mapper, simulator and boards are imported within functions, so that a command needs only what it
uses, and all start at once.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


__all__ = ["find"]


def find() -> dict[str, ModuleType]:
    """Modules of all commands, by the commands' names, in the order in which help lists them."""
    found = {
        each.name.replace("_", "-"): import_module(f".{each.name}", __name__)
        for each in iter_modules(__path__)
        if not each.name.startswith("_")
    }
    last = float("inf")
    return dict(sorted(found.items(), key=lambda item: (getattr(item[1], "PLACE", last), item[0])))

"""Headrace: an open LLM accelerator, from model file to tokens.

>>> import headrace
>>> model = headrace.load("tiny")
>>> machine = headrace.machine("wide", columns=2)
>>> with model.on(machine, device="model") as runner:
...     print(runner.run("We must", tokens=6).text)
 strengthen the

docs/library.md is the guide. Nothing that takes long is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from host.errors import UserError as Error
    from host.image.image import Image
    from host.language.sampling import Sampling

    from .library.area import area
    from .library.calls import compare, compile, generate, run
    from .library.comparison import Comparison
    from .library.machines import Machine, machine, names
    from .library.models import Model, Program, load
    from .library.profiling import Profile
    from .library.runner import Answer, Runner, Token
    from .library.verilog import verilog

    __version__: str


__all__ = [
    "Answer",
    "Comparison",
    "Error",
    "Image",
    "Machine",
    "Model",
    "Profile",
    "Program",
    "Runner",
    "Sampling",
    "Token",
    "__version__",
    "area",
    "compare",
    "compile",
    "generate",
    "load",
    "machine",
    "names",
    "run",
    "verilog",
]


# Where each public name is: it is imported when it is first asked for.
PLACES = {
    "Error": "host.errors:UserError",
    "Image": "host.image.image:Image",
    "Sampling": "host.language.sampling:Sampling",
    **{
        name: f"headrace.library.calls:{name}" for name in ("compare", "compile", "generate", "run")
    },
    "Comparison": "headrace.library.comparison:Comparison",
    **{name: f"headrace.library.machines:{name}" for name in ("Machine", "machine", "names")},
    **{name: f"headrace.library.models:{name}" for name in ("Model", "Program", "load")},
    "Profile": "headrace.library.profiling:Profile",
    **{name: f"headrace.library.runner:{name}" for name in ("Answer", "Runner", "Token")},
    "area": "headrace.library.area:area",
    "__version__": "headrace.library.version:VERSION",
    "verilog": "headrace.library.verilog:verilog",
}


def __getattr__(name):
    if name not in PLACES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    module, _, attribute = PLACES[name].partition(":")
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__():
    return sorted({*globals(), *__all__})

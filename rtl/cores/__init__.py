"""Linear cores: they multiply weights with activations, and all give the same bits.

Each is a class in a file of this folder, which :func:`~.core.register` gives the file's name;
:class:`~.core.LinearCore` says what it keeps to.
"""

from importlib import import_module
from pkgutil import iter_modules

from ..spec.config import Config
from .core import CORES


__all__ = ["CORES", "create", "standalone"]


for _module in iter_modules(__path__):
    import_module(f".{_module.name}", __name__)


def create(config):
    """The linear core that a configuration asks for."""
    if not isinstance(config, Config):
        raise TypeError(f"Configuration must be a Config, not {config!r}")
    return CORES[config.core](config)


def standalone(config):
    """The linear core that a configuration asks for, by itself: it takes activations, not tables of
    them.
    """
    core = create(config)
    return core if core.inputs == 1 else import_module(".tabled", __name__).TabledCore(core)

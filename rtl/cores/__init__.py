"""Linear cores: they multiply weights with activations, and all give the same bits."""

from importlib import import_module

from ..spec.config import Config


__all__ = ["create", "standalone"]


CLASSES = {"systolic": "SystolicCore", "lut": "LutCore", "dspchain": "DspChainCore"}


def create(config):
    """The linear core that a configuration asks for."""
    if not isinstance(config, Config):
        raise TypeError(f"Configuration must be a Config, not {config!r}")
    # Only this one is imported: the cores know nothing of each other.
    return getattr(import_module(f".{config.core}", __name__), CLASSES[config.core])(config)


def standalone(config):
    """The linear core that a configuration asks for, by itself: it takes activations, not tables of them."""
    core = create(config)
    return core if core.inputs == 1 else import_module(".tabled", __name__).TabledCore(core)

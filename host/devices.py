"""Devices by name. They are imported when asked for: a simulation needs no more than its own."""

from importlib import import_module

from .errors import UserError


__all__ = ["DEVICES", "create"]


# Names are text, not imports: devices know the host, the host does not know them.
DEVICES = {
    "model": "sim.functional:ModelDevice",
    "sim": "sim.fpga.device:SimDevice",
}


def create(name, config, **options):
    """Create the device of a name for a :class:`rtl.config.Config`."""
    if name not in DEVICES:
        raise UserError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    module, _, cls = DEVICES[name].partition(":")
    return getattr(import_module(module), cls)(config, **options)

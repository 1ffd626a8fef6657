"""Devices by name. They are imported when asked for: a simulation needs no more than its own."""

from importlib import import_module

from host.errors import UserError


__all__ = ["DEVICES", "check", "create"]


# Names are text, not imports: devices know the host, the host does not know them.
DEVICES = {
    "model": "sim.functional:ModelDevice",
    "sim": "sim.fpga.device:SimDevice",
    "uart": "boards.device:BoardDevice",
    "pynq": "boards.export.pynq_device:PynqDevice",
    "xrt": "boards.export.xrt_device:XrtDevice",
}
# Devices that need to be told where they are, behind a colon.
PLACES = {"uart": "uart:PORT[:BAUD], such as uart:/dev/ttyUSB0", "pynq": "pynq:FILE.bit", "xrt": "xrt:FILE.xclbin"}


def check(name, what="device"):
    """Refuse what is no name of a device. Returns its kind, and where it is."""
    kind, _, place = name.partition(":")
    if kind not in DEVICES or bool(place) != (kind in PLACES) or name.endswith(":"):
        names = ", ".join(PLACES.get(kind, kind) for kind in DEVICES)
        raise UserError(f"{what} must be one of {names}; not {name!r}")
    return kind, place


def create(name, config, **options):
    """Create the device of a name for a :class:`rtl.spec.config.Config`."""
    kind, place = check(name)
    module, _, cls = DEVICES[kind].partition(":")
    return getattr(import_module(module), cls)(config, *[place] * bool(place), **options)

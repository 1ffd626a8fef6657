"""Devices by name. They are imported when asked for: a simulation needs no more than its own."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from host.device import Device
from host.errors import UserError
from host.files import check_target
from rtl.spec.config import Config


__all__ = ["DEVICES", "check", "create", "open_device", "parts"]


# Names are text, not imports: devices know the host, the host does not know them.
DEVICES = {
    "model": "sim.functional:ModelDevice",
    "sim": "sim.fpga.device:SimDevice",
    "uart": "boards.device:BoardDevice",
    "pynq": "boards.export.pynq_device:PynqDevice",
    "xrt": "boards.export.xrt_device:XrtDevice",
}
# Devices that need to be told where they are, behind a colon.
PLACES = {
    "uart": "uart:PORT[:BAUD], such as uart:/dev/ttyUSB0",
    "pynq": "pynq:FILE.bit",
    "xrt": "xrt:FILE.xclbin",
}
FILES = ("pynq", "xrt")  # whose place is a file


def parts(name: str, what: str = "device") -> tuple[str, str]:
    """A device's kind, and where it is. Refuses what is no name of a device."""
    kind, _, place = name.partition(":")
    if kind not in DEVICES or bool(place) != (kind in PLACES) or name.endswith(":"):
        names = ", ".join(PLACES.get(kind, kind) for kind in DEVICES)
        raise UserError(f"{what} must be one of {names}; not {name!r}")
    return kind, place


def check(name: str, timeline: str | os.PathLike[str] | None = None, what: str = "") -> None:
    """Refuse what cannot be created, before anything takes time. Messages put `what` before
    options.
    """
    option = f"{what}device"
    kind, place = parts(name, option)
    if kind in FILES and not Path(place).is_file():
        raise UserError(f"{option} {name}: {place} must be a file, but is not")
    if kind == "uart" and place.startswith("/"):  # elsewhere, ports are no paths
        from host.link.device import address

        port, _ = address(place)
        if not Path(port).exists():
            raise UserError(f"{option} {name}: there is no port {port}; is the board connected?")
    if timeline is not None:
        if name != "sim":
            raise UserError(f"{what}timeline needs {option} sim, not {name}")
        if not Path(timeline).resolve().parent.is_dir():
            raise UserError(f"{timeline}: its folder must exist")
        check_target(timeline)


def create(name: str, config: Config, **options) -> Device:
    """Create the device of a name; `options` are its class's."""
    kind, place = parts(name)
    module, _, cls = DEVICES[kind].partition(":")
    return getattr(import_module(module), cls)(config, *[place] * bool(place), **options)


def open_device(
    name: str,
    config: Config,
    timeline: str | os.PathLike[str] | None = None,
    step: Callable[[str], None] | None = None,
) -> Device:
    """Create a device, of which the simulated FPGA tells `step` how far its build is."""
    options = {}
    if name == "sim":
        options |= {"build_progress": step} | ({} if timeline is None else {"timeline": timeline})
    return create(name, config, **options)

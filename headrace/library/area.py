"""What a machine takes of an FPGA, by synthesis."""

from typing import TYPE_CHECKING

from host.errors import UserError
from host.progress import steps

from .machines import DEFAULT, Machine, machine as machine_of


if TYPE_CHECKING:
    from boards.synthesis import Area


__all__ = ["area"]


def area(machine: str | Machine = DEFAULT, *parts: str, family: str = "ecp5") -> "dict[str, Area]":
    """Synthesize a machine, or parts of it, for a family of FPGAs.

    Figures are kept in `build/synthesis`. The whole machine takes minutes.

    Parameters
    ----------
    machine : :class:`str` or :class:`Machine`
        As :func:`machine` takes it.
    parts : :class:`str`
        Names of :data:`headrace.library.components.COMPONENTS`, such as ``"linear pipeline"`` or
        ``"attention"``. None: ``"whole"``.
    family : :class:`str`
        ``"ecp5"`` (Lattice ECP5) or ``"xcup"`` (Xilinx UltraScale+).

    Returns
    -------
    :class:`dict`
        By part, a :class:`boards.synthesis.Area`: `lut`, `ff`, `dsp`, `bram`.
    """
    from boards.synthesis import FAMILIES, check_tools, synthesize, text_of

    from .components import COMPONENTS, WHOLE

    config = machine_of(machine)
    for name in parts:
        if name not in COMPONENTS:
            raise UserError(f"PART must be one of {'; '.join(COMPONENTS)}, not {name!r}")
    if family not in FAMILIES:
        raise UserError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    check_tools(route=False)
    found = {}
    with steps(f"synthesis for {family}") as step:
        for name in parts or [WHOLE]:
            step(f"{name} of {config.name}")
            found[name] = synthesize(text_of(COMPONENTS[name](config)), family)
    return found

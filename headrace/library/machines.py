"""Machines: configurations of the accelerator, by name, from a file, and with values changed.

Without a name it is `DEFAULT`. Commands that synthesize, or run many programs, have a smaller one,
their own `DEFAULT_CONFIG`; bitstreams and exports have the board's.
"""

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike
from typing import Any

from host import configurations
from host.boards import descriptions
from rtl.spec.config import CORES, DEFAULTS, Config


__all__ = ["DEFAULT", "Machine", "machine", "names", "suited"]


Machine = Config
DEFAULT = "wide"  # answers sooner than `small`, though its cycles are slower to simulate


def suited(machine: Machine, formats: Iterable[str]) -> Machine:
    """The machine with the weight formats of a model added, where nobody chose any.

    A configuration that names no formats, and is no board's, has those that need no wider
    multipliers; a file of another type would be rounded for it.
    """
    free = {*machine.formats} == {*DEFAULTS[machine.core]} and machine.name not in descriptions()
    more = [
        name for name in CORES[machine.core] if name in set(formats) and name not in machine.formats
    ]
    if not free or not more:
        return machine
    return replace(
        machine,
        name="+".join([machine.name, *more]),
        formats=(*machine.formats, *more),
    )


def names() -> list[str]:
    """Names that :func:`machine` knows."""
    return list(configurations.named())


def machine(base: str | PathLike[str] | Machine = DEFAULT, **values: Any) -> Machine:
    """A machine: a frozen value with every parameter of the accelerator.

    Parameters
    ----------
    base : :class:`str`, path, or machine
        Name of a machine (:func:`names`), a TOML file, or a machine to change.
    values
        Fields of :class:`rtl.spec.config.Config` to change. `dram` is a name, or a mapping of
        fields of :class:`rtl.spec.dram.Dram` to change.

    Raises
    ------
    :exc:`headrace.Error`
        If there is no such machine or field, or a value is out of range.

    >>> machine("wide", core="lut", columns=2, dram={"latency": 60}).name
    'wide+core=lut,columns=2,dram.latency=60'
    """
    config = base if isinstance(base, Machine) else configurations.read(str(base))
    return configurations.changed(config, values, "machine")

"""Machines: configurations of the accelerator, by name, from a file, and with values changed.

Without a name it is `DEFAULT`. Commands that synthesize, or run many programs, have a smaller one,
their own `DEFAULT_CONFIG`; bitstreams and exports have the board's.
"""

from os import PathLike
from typing import Any

from host import configurations
from rtl.spec.config import Config


__all__ = ["DEFAULT", "Machine", "machine", "names"]


Machine = Config
DEFAULT = "wide"  # answers sooner than `small`, though its cycles are slower to simulate


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

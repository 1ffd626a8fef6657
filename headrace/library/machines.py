"""Machines: configurations of the accelerator, by name, from a file, and with values changed.

Without a name it is `DEFAULT`. Commands that synthesize, or run many programs, have a smaller one,
their own `DEFAULT_CONFIG`; bitstreams and exports have the board's.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from host import configurations
from host.boards import descriptions
from host.errors import UserError
from rtl.spec.config import CONFIGS, CORES, DEFAULTS, Config


if TYPE_CHECKING:
    from mapper.model import Model as Source


__all__ = ["DEFAULT", "Machine", "fitting", "machine", "names", "suited"]


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


def fitting(
    source: "Source",
    head: str | None = None,
    base: Machine | None = None,
    fixed: Collection[str] = (),
) -> tuple[Machine, str | None]:
    """The machine for a model where nobody named one, and why it is not the default, or None.

    It is the default if the model fits it; else the first of :data:`~rtl.spec.config.CONFIGS` that
    the model fits; else the default with those values changed that the model needs.

    Parameters
    ----------
    source : :class:`mapper.model.Model`
    head : :class:`str` or None
        The format that its head is rounded to.
    base : :class:`Machine` or None
        Another default, instead of which none with a name is taken.
    fixed
        Names of fields of `base` that somebody chose: where the model needs others, it is returned
        as it is, for the compiler to refuse.

    Raises
    ------
    :exc:`headrace.Error`
        If the model is beyond the limits of every machine.
    """
    from mapper.needs import needs

    formats = source.formats | ({head} if head else set())
    default = CONFIGS[DEFAULT] if base is None else base
    others = () if base is not None else [it for it in CONFIGS.values() if it is not default]
    others = sorted(others, key=lambda it: it.beat_bits != default.beat_bits)  # as wide ones first
    derived = why = refusal = None
    for candidate in (default, *others):
        able = suited(candidate, formats)
        try:
            need = needs(source, able, head)
        except UserError as error:  # of its formats, or of what no machine has
            why = refusal = refusal or error
            continue
        lacking = need.lacking(able)
        if not lacking:
            return able, why and f"{why}: took {able.name!r}"
        if {*lacking} & {*fixed}:
            return able, None
        if derived is None:
            derived = configurations.changed(able, need.values(lacking), "machine")
            why = why or f"configuration {able.name!r} has {'; '.join(lacking.values())}"
    if derived is None:
        raise refusal or AssertionError("there is a default")
    return derived, f"{why}: derived {derived.name!r}"


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

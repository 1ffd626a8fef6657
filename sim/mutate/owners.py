"""Assign source files to benches, and share out the mutants."""

from dataclasses import dataclass

from host.errors import UserError

from ..tools import ROOT


__all__ = ["OWNERS", "Owner", "lines", "owner", "shares"]


@dataclass(frozen=True)
class Owner:
    """A bench that answers for source files.

    Parameters
    ----------
    files : tuple of :class:`str`
        Names in `rtl`, without `.py`, of the bench's component and of the parts of it that have no
        bench of their own.
    case : :class:`str` or None
        The bench's case whose netlist mutants are drawn from. None: its first.
    """

    files: tuple
    case: str | None = None


def _owner(files, case=None):
    return Owner(tuple(files.split()), case)


# A helper that many components call is its first caller's: a mutant of it is drawn there alone.
OWNERS = {
    "accumulate": _owner("attention/accumulate"),
    "activations": _owner("linear/activations"),
    "append": _owner("attention/append"),
    "arbiter": _owner("bus/arbiter bus/axi"),
    "attention": _owner(
        "attention/unit attention/intake attention/output attention/products "
        "attention/queries attention/sequence attention/tag bus/delay"
    ),
    "best": _owner("linear/best"),
    "combine": _owner("linear/combine"),
    "control": _owner("control/control"),
    "core": _owner("cores/systolic cores/core cores/output", "systolic-small"),
    "csr": _owner("control/csr"),
    "dsp_cell": _owner("cores/dsp"),
    "dspchain": _owner("cores/dspchain cores/slots cores/reduction"),
    "embed": _owner("linear/embed"),
    "expand": _owner("linear/expand"),
    "fetch": _owner("control/fetch"),
    "fp_add": _owner("fp/add fp/format"),
    "fp_mul": _owner("fp/mul"),
    "from_int": _owner("fp/from_int"),
    "group_scale": _owner("linear/group_scale"),
    "linear_front": _owner("linear/pipeline"),
    "linear_unit": _owner("linear/unit"),
    "link": _owner("link/link bus/wishbone"),
    "link_bridge": _owner("link/bridge link/executor link/memory link/registers"),
    "link_cobs": _owner("link/cobs"),
    "link_frame": _owner("link/frame"),
    "link_uart": _owner("link/uart"),
    "load": _owner("memory/load"),
    "lut": _owner("cores/lut cores/carried cores/tabled cores/tables", "tabled"),
    "memory_reader": _owner("memory/reader memory/splitter"),
    "memory_writer": _owner("memory/writer"),
    "quantizer": _owner("vector/quantizer vector/quantizer_lane"),
    "queue": _owner("control/queue control/tokens"),
    "reduce": _owner("vector/reduce"),
    "row_scale": _owner("linear/row_scale"),
    "scores": _owner("attention/scores"),
    "sequencer": _owner("control/sequencer"),
    "skid": _owner("bus/skid"),
    "slice": _owner("bus/slice bus/register"),
    "softmax": _owner("attention/softmax"),
    "stream": _owner("memory/stream"),
    "top": _owner("top"),
    "unpack": _owner("linear/unpack linear/block linear/stripe linear/slices linear/trits"),
    "vector_memory": _owner("vector/memory"),
    "vector_unit": _owner("vector/unit vector/datapath vector/lane vector/walk"),
}


def owner(unit):
    """The :class:`Owner` of a bench. Raises :exc:`UserError`."""
    if unit not in OWNERS:
        raise UserError(f"UNIT must be all or one of {', '.join(OWNERS)}, not {unit!r}")
    return OWNERS[unit]


def lines(unit):
    """Lines of the files that a bench answers for, without blank ones."""
    return sum(
        bool(line.strip())
        for name in OWNERS[unit].files
        for line in (ROOT / "rtl" / f"{name}.py").read_text().splitlines()
    )


def shares(count, units=OWNERS):
    """`count` mutants for benches, in proportion to their lines: a mapping by unit.

    Largest remainder: what is left after rounding down goes to those that lost most by it.
    """
    of = {unit: lines(unit) for unit in units}
    exact = {unit: count * n / sum(of.values()) for unit, n in of.items()}
    given = {unit: int(share) for unit, share in exact.items()}
    rest = sorted(exact, key=lambda unit: given[unit] - exact[unit])
    for unit in rest[: count - sum(given.values())]:
        given[unit] += 1
    return given

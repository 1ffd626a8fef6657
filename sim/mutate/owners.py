"""Assign source files to benches, and share out the mutants."""

from dataclasses import dataclass

from host.errors import UserError
from rtl.cores import CORES

from ..oracles.components import core_bench
from ..tools import ROOT


__all__ = ["OWNERS", "Owner", "lines", "owner", "shares"]


@dataclass(frozen=True)
class Owner:
    """A bench that answers for source files.

    Parameters
    ----------
    parts : tuple of (:class:`str` or None, tuple of :class:`str`)
        A case of the bench, None for its first, and the files whose mutants are drawn from that
        case's netlist: names in `rtl`, without `.py`, of the case's component and of the parts of
        it that have no bench of their own.
    """

    parts: tuple

    @property
    def files(self):
        """All files that it answers for."""
        return tuple(name for _, files in self.parts for name in files)

    def drawn(self, count):
        """Yield (case, files, how many of `count` mutants are drawn there)."""
        given = _shared(count, {n: _lines(files) for n, (_, files) in enumerate(self.parts)})
        yield from ((*self.parts[n], number) for n, number in given.items() if number)


def _owner(files, case=None, *more):
    return Owner(((case, tuple(files.split())), *more))


def _cores():
    """Files of linear cores that no other bench answers for, by the case that has each."""
    return [
        (f"{name}-small", (f"cores/{name}",))
        for name in CORES
        if core_bench(name) == "core" and name != "systolic"
    ]


# A helper that many components call is its first caller's: a mutant of it is drawn there alone.
OWNERS = {
    "accumulate": _owner("attention/accumulate attention/fold"),
    "activations": _owner("linear/activations"),
    "append": _owner("attention/append"),
    "arbiter": _owner("bus/arbiter bus/axi"),
    "attention": _owner(
        "attention/unit attention/blocks attention/intake attention/output attention/products "
        "attention/queries attention/reorder attention/sequence attention/tag attention/window "
        "bus/delay"
    ),
    "best": _owner("linear/best"),
    "cap": _owner("attention/cap"),
    "combine": _owner("linear/combine"),
    "control": _owner("control/control", None, ("counters", ("control/counters",))),
    "core": _owner(
        "cores/systolic cores/core cores/output cores/among", "systolic-small", *_cores()
    ),
    "csr": _owner("control/csr"),
    "descriptor": _owner("linear/descriptor"),
    "dsp_cell": _owner("cores/dsp"),
    "dspchain": _owner(
        "cores/dspchain cores/slots cores/reduction", None, ("half", ("cores/parts_tree",))
    ),
    "embed": _owner("linear/embed"),
    "expand": _owner("linear/expand"),
    "fetch": _owner("control/fetch"),
    "fp_add": _owner("fp/add fp/format"),
    "fp_mul": _owner("fp/mul"),
    "fifths": _owner("linear/fifths"),
    "from_int": _owner("fp/from_int"),
    "group_scale": _owner("linear/group_scale"),
    "linear_front": _owner(
        "linear/pipeline",
        None,
        ("half", ("linear/gather", "linear/parts", "linear/part_trits")),
    ),
    "linear_unit": _owner("linear/unit"),
    "link": _owner("link/link bus/wishbone"),
    "link_bridge": _owner("link/bridge link/executor link/memory link/registers memory/splitter"),
    "link_cobs": _owner("link/cobs"),
    "link_frame": _owner("link/frame"),
    "link_uart": _owner("link/uart"),
    "load": _owner("memory/load"),
    "lut": _owner("cores/lut cores/carried cores/tabled cores/tables", "tabled"),
    "memory_reader": _owner("memory/reader memory/bursts bus/fifo bus/ram"),
    "memory_writer": _owner("memory/writer"),
    "quantizer": _owner("vector/quantizer vector/quantizer_lane"),
    "queue": _owner("control/queue control/store control/tokens"),
    "reduce": _owner("vector/reduce"),
    "row_scale": _owner("linear/row_scale"),
    "scores": _owner("attention/scores"),
    "sequencer": _owner("control/sequencer control/dispatcher"),
    "skid": _owner("bus/skid"),
    "slice": _owner("bus/slice bus/register"),
    "softmax": _owner("attention/softmax"),
    "stream": _owner("memory/stream"),
    "top": _owner("top control/events"),
    "unpack": _owner(
        "linear/unpack linear/block linear/stripe linear/slices linear/trits",
        None,
        ("files", ("linear/nibbles",)),
    ),
    "vector_memory": _owner("vector/memory"),
    "vector_unit": _owner("vector/unit vector/datapath vector/lane vector/walk vector/interlock"),
    "widener": _owner("bus/widener"),
}


def owner(unit):
    """The :class:`Owner` of a bench. Raises :exc:`UserError`."""
    if unit not in OWNERS:
        raise UserError(f"UNIT must be all or one of {', '.join(OWNERS)}, not {unit!r}")
    return OWNERS[unit]


def lines(unit):
    """Lines of the files that a bench answers for, without blank ones."""
    return _lines(OWNERS[unit].files)


def shares(count, units=OWNERS):
    """`count` mutants for benches, in proportion to their lines: a mapping by unit."""
    return _shared(count, {unit: lines(unit) for unit in units})


def _lines(files):
    return sum(
        bool(line.strip())
        for name in files
        for line in (ROOT / "rtl" / f"{name}.py").read_text().splitlines()
    )


def _shared(count, of):
    """`count` things in proportion to the numbers in `of`: a mapping by its keys.

    Largest remainder: what is left after rounding down goes to those that lost most by it.
    """
    exact = {key: count * n / sum(of.values()) for key, n in of.items()}
    given = {key: int(share) for key, share in exact.items()}
    rest = sorted(exact, key=lambda key: given[key] - exact[key])
    for key in rest[: count - sum(given.values())]:
        given[key] += 1
    return given

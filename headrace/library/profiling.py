"""Profiles: where the cycles of one step go."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from host.errors import UserError
from host.image.image import Image
from host.progress import steps

from .bottleneck import limit
from .machines import Machine


if TYPE_CHECKING:
    from sim.profiling import Recording


__all__ = ["Profile", "Target", "check_step", "profile"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where the cycles of one step went; with `cuts`, of a step of all layers, from the difference
    of two cuts.

    Attributes
    ----------
    config : :class:`str`
        The machine's name.
    position, columns : :class:`int`
        Position of the first token, and how many tokens there were.
    cycles : :class:`int`
    bytes_weights, bytes_kv, bytes_loads, bytes_program, bytes_written : :class:`int`
        What the memory moved for each.
    utilization : :class:`float`
        Bytes of weights and of the KV cache over those that the memory's peak brings in the time.
    ceiling : :class:`float`
        Share of that peak that the memory gives to a plain sequential stream.
    estimated_cycles : :class:`int`
        What :mod:`mapper.estimate` says, without running.
    clock_mhz, tokens_per_second : :class:`float`
    units : mapping of :class:`str` to mapping
        Cycles of each unit: `busy`, and of those `working`, `starved` and `blocked`, of which
        `token` are waits for a token. See docs/registers.md.
    dram : mapping
        Clocks of the memory: `data`, `idle`, `refreshing`, `opening`, `turning`, `spacing`; and its
        `reads`, `writes`, `activates`, `conflicts` and `refreshes`.
    nodes : list of mapping
        Of each node and unit, over all layers: `name`, `unit`, `cycles` (each of the step's belongs
        to one: LINEAR's node if it is at one, else ATTENTION's, VECTOR's or LOAD's), `share` of
        them, `busy` cycles of the unit, `bytes`, `macs`, and `times`.
    cuts : list of :class:`int`
        Layers of the two runs, or empty.
    limit, why : :class:`str`
        What limits, in a few words, and the figures that this follows from.
    machine : :class:`Machine`
    recording : :class:`sim.profiling.Recording`
        Of the larger cut, for pictures.
    """

    config: str
    position: int
    columns: int
    cycles: int
    bytes_weights: int
    bytes_kv: int
    bytes_loads: int
    bytes_program: int
    bytes_written: int
    utilization: float
    ceiling: float
    estimated_cycles: int
    clock_mhz: float
    tokens_per_second: float
    units: dict[str, dict[str, int]]
    dram: dict[str, int]
    nodes: list[dict[str, Any]]
    cuts: list[int]
    limit: str
    why: str
    machine: Machine = field(repr=False)
    recording: "Recording" = field(repr=False, compare=False)

    @property
    def figures(self) -> dict[str, Any]:
        """All of it as one JSON object."""
        return {its.name: getattr(self, its.name) for its in fields(self) if its.repr}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is profiled.

    Attributes
    ----------
    name : :class:`str`
        What messages call it.
    machine : :class:`Machine`
    layers : :class:`int`
        Of the whole model.
    image : function of a number of layers
        The :class:`Image` of the first ones.
    """

    name: str
    machine: Machine
    layers: int
    image: Callable[[int], Image]


def check_step(position: int, columns: int, layers: int | None, what: str = "") -> None:
    """Refuse a step that is none; messages put `what` before options."""
    if position < 0:
        raise UserError(f"{what}position must be at least 0, not {position}")
    if columns < 1:
        raise UserError(f"{what}columns must be at least 1, not {columns}")
    if layers is not None and layers < 2:
        raise UserError(f"{what}layers must be at least 2, for two cuts, not {layers}")


def profile(
    target: Target,
    *,
    position: int = 0,
    columns: int = 1,
    layers: int | None = None,
    timeline: str | os.PathLike[str] | None = None,
) -> Profile:
    """Run a step on the simulated FPGA, and say where its cycles went.

    Parameters
    ----------
    target : :class:`Target`
    position : :class:`int`
        Of the first token. The KV cache before it is assumed: random elements.
    columns : :class:`int`
        Tokens. One is a decode step, with logits; more are a prefill step, without.
    layers : :class:`int`
        Run the first ones, and then fewer; figures are of all layers, from the difference.
    timeline : path
        Write what the units did there, for Perfetto; of the larger cut.
    """
    check_step(position, columns, layers)
    machine = replace(target.machine, counters=True)  # which costs no cycle, and changes no image
    if columns > machine.columns:
        raise UserError(
            f"columns must be at most the {machine.columns} of configuration {machine.name!r}, "
            f"not {columns}"
        )
    if layers is not None and layers > target.layers:
        raise UserError(
            f"layers must be from 2 to {target.layers}, which {target.name} has, not {layers}"
        )
    # A single layer does not run ahead of itself as several do.
    fewer = 1 if layers == 2 else max(2, (layers or 0) // 2)
    cuts = [] if layers is None or layers == target.layers else [fewer, layers]
    runs = []
    for n in reversed(cuts or [target.layers]):
        runs.append(_run(target, machine, n, position, columns, None if runs else timeline))
    counts = runs[0].counts
    if cuts:
        counts = _extrapolated(counts, runs[1].counts, cuts, target.layers)
    return _of(machine, counts, runs[0], position, columns, cuts)


def _run(target, machine, layers, position, columns, timeline):
    from mapper.estimate import estimate
    from sim.profiling import profiled

    image = target.image(layers)
    if position + columns > image.context:
        raise UserError(
            f"position and columns must end within the {image.context} positions that "
            f"{target.name} is compiled for, not at {position + columns}"
        )
    tokens = tuple(n % image.vocab for n in range(1, columns + 1))
    with steps(f"profiling {layers} layers of {target.name} on {machine.name}") as step:
        recording = profiled(
            machine, image, tokens, position, columns == 1, timeline=timeline, progress=step
        )
    found = estimate(image, machine, position=position, columns=columns, head=columns == 1)
    recording.counts["estimated",] = found.cycles
    return recording


def _extrapolated(more, fewer, cuts, layers):
    """Counts of all layers: each layer beyond the larger cut is as those between the two. What the
    smaller cut has more of, since it is not in step yet, goes down to zero and no further.
    """
    from sim.profiling import REST

    factor = (layers - cuts[1]) / (cuts[1] - cuts[0])
    found = Counter(
        {key: max(0, round(more[key] + factor * (more[key] - fewer[key]))) for key in more}
    )
    owned = sum(its for key, its in found.items() if key[0] == "node" and key[-1] == "cycles")
    found["node", *REST, "cycles"] += found["cycles",] - owned  # of rounding
    return found


def _of(machine, counts, recording, position, columns, cuts):
    from sim.fpga.ceiling import ceiling
    from sim.profiling import DRAM

    cycles, seconds = counts["cycles",], counts["cycles",] / machine.clock_mhz / 1e6
    moved = {
        client: counts["beats", client] * machine.beat_bytes
        for client in ("weight", "kv", "load", "fetch", "write")
    }
    found = limit(counts)
    return Profile(
        config=machine.name,
        position=position,
        columns=columns,
        cycles=cycles,
        bytes_weights=moved["weight"],
        bytes_kv=moved["kv"],
        bytes_loads=moved["load"],
        bytes_program=moved["fetch"],
        bytes_written=moved["write"],
        utilization=(moved["weight"] + moved["kv"]) / seconds / machine.dram_peak,
        ceiling=ceiling(machine),
        estimated_cycles=counts["estimated",],
        clock_mhz=machine.clock_mhz,
        tokens_per_second=columns / seconds,
        units=_units(counts),
        # By name, since sums of counters drop those of zero: many memories have no bank groups.
        dram={name: counts["dram", name] for name in (*DRAM, "data", "idle", "clocks")},
        nodes=_nodes(counts, cycles),
        cuts=cuts,
        limit=found.what,
        why=found.why,
        machine=machine,
        recording=recording,
    )


def _units(counts):
    from sim.profiling import UNITS

    found = {}
    for unit in UNITS:
        working, starved, output, token = (
            counts["unit", unit, kind] for kind in ("working", "starved", "output", "token")
        )
        found[unit] = {
            "busy": working + starved + output + token,
            "working": working,
            "starved": starved,
            "blocked": output + token,
            "token": token,
        }
    return found


def _nodes(counts, cycles):
    names = dict.fromkeys((key[1], key[2]) for key in counts if key[0] == "node")
    return [
        {
            "name": node,
            "unit": unit,
            "cycles": (own := counts["node", unit, node, "cycles"]),
            "share": own / cycles,
            **{
                kind: counts["node", unit, node, kind]
                for kind in ("busy", "bytes", "macs", "times")
            },
        }
        for unit, node in names
    ]

"""Estimate of a step: cycles, what each unit and node takes of them, and bytes."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from host.image.image import Image
from rtl.spec.config import Config
from rtl.spec.isa import Unit

from .hardware import hardware as of_components
from .layers import first_rounds, rounds, weight_cycles
from .program import dispatched
from .step import Step


__all__ = ["Estimate", "NodeCycles", "estimate"]


# Of every 16 rows of an embedding, of which one is picked, the one in the middle.
TOKEN = 8
KEPT = 4  # layers that are followed, of many


@dataclass(frozen=True, slots=True)
class NodeCycles:
    """Cycles that a unit is at a node of the model's graph, waiting for data included."""

    node: str
    unit: str
    cycles: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a step is expected to take.

    Attributes
    ----------
    cycles : :class:`int`
        From the start to the end, as the register CYCLES counts them.
    nodes : tuple of :class:`NodeCycles`
        In the order of the program. Units run side by side: they add up to more.
    busy : dict of :class:`str`
        Cycles in which each unit executes something.
    bytes_weights, bytes_kv : :class:`int`
        Bytes that are read.
    """

    cycles: int
    nodes: tuple[NodeCycles, ...]
    busy: dict[str, int]
    bytes_weights: int
    bytes_kv: int


def estimate(
    image: Image,
    config: Config,
    *,
    position: int = 0,
    columns: int = 1,
    head: bool = True,
    hardware: Any = None,
) -> Estimate:
    """Estimate a step of an image without running it.

    Parameters
    ----------
    image : :class:`~host.image.image.Image`
        Of its weights, formats and which blocks of sparse matrices are stored matter.
    config : :class:`~rtl.spec.config.Config`
        Accelerator, with its DRAM.
    position : :class:`int`
        Of the first column: positions in the KV cache.
    columns : :class:`int`
        Tokens of the step.
    head : :class:`bool`
        Whether logits are wanted.
    hardware
        Latencies, of :func:`.hardware.hardware`. None: the configuration's.

    Raises :exc:`~sw_ref.legal.IllegalProgram`.
    """
    hardware = of_components(config) if hardware is None else hardware
    program = dispatched(image, config, hardware, [TOKEN] * columns, position, head)
    layers = rounds(program)

    def measured(count: int) -> dict[tuple, float]:
        step = Step(image, config, hardware)
        step.run(first_rounds(program, layers, count))
        return _counts(step)

    if len(layers) <= KEPT + 1:
        return _estimate(measured(len(layers)), image, config)
    # Layers behind the first few take what the last of those takes more, or as much more as their
    # weights do.
    found, less = measured(KEPT), measured(KEPT - 1)
    weights = [weight_cycles(program, each) for each in layers]
    times = sum(weights[KEPT:]) / weights[KEPT - 1]
    for key in found:
        found[key] += times * (found[key] - less[key])
    return _estimate(found, image, config)


def _counts(step: Step) -> dict[tuple, float]:
    """Cycles, beats, and what units and instructions take, so that they can be added up."""
    found: dict[tuple, float] = defaultdict(float)
    found["cycles",] = step.cycles
    found |= {("beats", client): beats for client, beats in step.beats.items()}
    for unit in Unit:
        spans = [its for its in step.spans if its[0] == unit.value]
        # The linear unit takes the next instruction while results of the last are written.
        ends = [min(one[3], other[2]) for one, other in pairwise(spans)]
        for (_, pc, start, last), end in zip(spans, [*ends, *(s[3] for s in spans[-1:])]):
            found["insn", unit, pc] += end - start
            found["busy", unit] += min(last, end) - start
    return found


def _estimate(found: dict[tuple, float], image: Image, config: Config) -> Estimate:
    nodes: dict[tuple[str, Unit], float] = {}
    for key, cycles in found.items():
        if key[0] == "insn":
            _, unit, pc = key
            of_node = image.node(pc) or f"instruction {pc}", unit
            nodes[of_node] = nodes.get(of_node, 0.0) + cycles
    return Estimate(
        cycles=round(found["cycles",]),
        nodes=tuple(
            NodeCycles(node, unit.name.lower(), round(cycles))
            for (node, unit), cycles in nodes.items()
            if round(cycles)
        ),
        busy={unit.name.lower(): round(found["busy", unit]) for unit in Unit},
        bytes_weights=round(found["beats", "weights"] * config.beat_bytes),
        bytes_kv=round(found["beats", "kv"] * config.beat_bytes),
    )

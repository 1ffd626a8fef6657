"""Cycles of models of sizes that people use, on the simulated FPGA: ``python -m
headrace.studies.shape_cycles [NAME ...]``.

Of each of :data:`~headrace.studies.large_shapes.SHAPES` two layers with random weights, one of each
kind where there are two, and the whole head decode two tokens, the second one with the head, at
positions beyond the windows, before which the KV cache has zeros. Logits, DRAM and vector memory
must be those of the functional machine. Of the cycles, those in which memory brings a beat are the
port's share. Beside it stands the compiler's bound: a beat of weights, or a step of the core, a
cycle. Tokens per second are those of all layers, at the machine's clock.

One accelerator serves all shapes with heads of a size: its vector memory, activations, program and
formats are enough for the largest, which changes no cycle. With ``--own`` it is the machine that
fits the shape (:func:`headrace.library.machines.fitting`). ``--base`` names another configuration
than ``wide`` that it is derived from. ``--nodes`` prints what units were at.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace

from host.errors import UserError, run_command
from host.progress import steps
from mapper.compile import compile_model
from mapper.read.find import load
from sim.fpga.nodes import Stepped, node_spans
from sim.models.case import Case, Step
from sim.models.compare import Pair

from ..library.machines import DEFAULT, Machine, fitting, machine as machine_of
from .document import table
from .large_shapes import SHAPES
from .random_weights import Shape, write


__all__ = ["Measured", "measure", "shared", "two_layers"]


CONTEXT, POSITION = 1024, 599
LAYERS = 2
TOKENS = 17, 33
MOST_NODES = 8  # of a unit, that are printed
COLUMNS = [
    "Shape",
    "Machine",
    *(f"{part}: {what}" for part in ("layers", "head") for what in ("cycles", "port", "bound")),
    "tokens/s",
]


def two_layers(shape: Shape) -> Shape:
    """The shape with two layers, one of each kind where there are two."""
    more = dict(shape.more)
    if "attention.sliding_window" in more:
        more["attention.sliding_window_pattern"] = LAYERS
    return replace(shape, layers=LAYERS, context=CONTEXT, more=more)


def shared(machine: Machine) -> Machine:
    """The machine whose build serves all shapes that have heads of its size."""
    return replace(
        machine,
        name=f"{machine.name.partition('+')[0]}-{machine.head_dim}",
        vector_words=1 << 18,
        act_groups=512,
        program_words=2048,
        formats=(*machine.formats, "S6"),
    )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What layers, or the head, take: cycles, beats that memory brings in them, the compiler's
    bound of cycles, and cycles of (unit, node)."""

    cycles: int
    beats: int
    bound: int
    nodes: Counter

    def less(self, other: "Measured") -> "Measured":
        """What it takes more than another."""
        return Measured(
            cycles=self.cycles - other.cycles,
            beats=self.beats - other.beats,
            bound=self.bound - other.bound,
            nodes=self.nodes - other.nodes,
        )

    @property
    def cells(self) -> list[str]:
        """Of the table."""
        return [f"{self.cycles:,}", f"{100 * self.beats / self.cycles:.1f} %", f"{self.bound:,}"]


def measure(pair: Pair, image) -> tuple[Measured, Measured]:
    """What the layers of an image take, and what the head.

    Raises :exc:`~sim.programs.compare.Difference` where the machines differ. The nodes' cycles are
    known if the pair records.
    """
    found: list[Measured] = []
    operations = {False: 0, True: 0}
    for operation in image.report["operations"]:
        operations[operation["operation"] == "head"] += operation["cycles"]
    start, read = 0, 0

    def after(sim, step, answer):
        nonlocal start, read
        stepped = Stepped(start, step.tokens, step.position, step.head)
        about = sim.takings(), sim.transitions(), sim.cycles
        nodes = Counter()
        for its in node_spans(image, sim.config, [stepped], *about):
            nodes[its.unit, its.node] += its.cycles
        beats = sim.statistics()["read_beats"]
        found.append(
            Measured(
                cycles=answer.cycles,
                beats=beats - read,
                bound=operations[False] + step.head * operations[True],
                nodes=nodes,
            )
        )
        start, read = sim.cycles, beats

    taken = (Step((token,), POSITION + n, n == 1) for n, token in enumerate(TOKENS))
    pair.compare(Case(None, tuple(taken), pair.config.dram), image, after)
    layers, whole = found
    return layers, whole.less(layers)


def show_nodes(measured: Measured):
    """Print what each unit was at most."""
    units: dict[str, Counter] = {}
    for (unit, node), cycles in measured.nodes.items():
        units.setdefault(unit, Counter())[node] += cycles
    for unit, nodes in units.items():
        print(f"  {unit}: {nodes.total():,} cycles")
        for node, cycles in nodes.most_common(MOST_NODES):
            print(f"    {cycles:>9,} {node}")


def measured_shape(name: str, base: Machine, own: bool, nodes: bool) -> list[str]:
    """The row of the table of a shape, on a machine derived from another."""
    shape = SHAPES[name]
    with tempfile.TemporaryDirectory() as folder:
        write(path := f"{folder}/model.gguf", two_layers(shape))
        model = load(path)
        machine, _ = fitting(model, base=base)
        machine = machine if own else shared(machine)
        image = compile_model(model, machine, CONTEXT)
    with steps(f"{name} on {machine.name}") as step:
        pair = Pair(machine, step, record=nodes)
        step("running")
        layers, head = measure(pair, image)
    if nodes:
        print(name)
        show_nodes(layers)
    token = layers.cycles * shape.layers / LAYERS + head.cycles
    speed = f"{machine.clock_mhz * 1e6 / token:.1f}"
    return [name, machine.name, *layers.cells, *head.cells, speed]


def command(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.shape_cycles", description=__doc__.splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SHAPES)}; else all")
    parser.add_argument("--base", default=DEFAULT, metavar="NAME", help="configuration to begin at")
    parser.add_argument("--own", action="store_true", help="build the machine that fits the shape")
    parser.add_argument("--nodes", action="store_true", help="print what units were at")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in SHAPES:
            raise UserError(f"the shape must be one of {', '.join(SHAPES)}, not {name!r}")
    base = machine_of(args.base)
    names = args.names or SHAPES
    rows = [measured_shape(name, base, args.own, args.nodes) for name in names]
    print("\n".join(table(COLUMNS, rows, left=2)))


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    return run_command("shape_cycles", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

"""How much of memory whole models take where weights are few bits: ``python -m
headrace.studies.port [NAME ...]``.

Layers of the sizes that people use run on the simulated FPGA in front of an ideal DRAM, which
brings a beat of 512 bits a cycle: BitNet's with ternary weights on the core of tables and on the
systolic array, Llama 2's with 2 of 4 weights of four bits on chains. Weights are random, and the
vocabulary is short. The bytes that one layer more takes, over what memory brings in the cycles that
it takes more, are the share of the port at full depth. Builds a simulator of each machine.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace

from host.errors import UserError, run_command
from host.progress import steps
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.dram import DRAMS
from sim.fpga.device import SimDevice

from ..library.machines import fitting, machine as machine_of
from .densities import cut
from .document import table
from .large_shapes import SHAPES
from .random_weights import Q4_0, Q8_0, Shape, write


__all__ = ["CASES", "Case", "Port", "measure"]


CONTEXT, VOCAB = 64, 256
LAYERS = 1, 2
LLAMA_2 = Shape(
    layers=32,
    hidden=4096,
    ffn=11008,
    heads=32,
    kv_heads=32,
    head_dim=128,
    vocab=VOCAB,
    matrix=Q4_0,
    embedding=Q8_0,
)


@dataclass(frozen=True)
class Case:
    """A shape on a machine.

    Attributes
    ----------
    shape : :class:`~.random_weights.Shape`
    base : :class:`str`
        Configuration that the machine is derived from.
    formats, patterns : tuple of :class:`str`
        What it is built for.
    pattern : :class:`str`
        Weights that the layers keep, as :mod:`~.densities` names it; or ``""``, all.
    """

    shape: Shape
    base: str
    formats: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    pattern: str = ""

    def image(self, layers: int, columns: int | None):
        """The model with so many layers, compiled for the machine that fits it, and that one."""
        shape = replace(self.shape, layers=layers, vocab=VOCAB, embedding=Q8_0, context=CONTEXT)
        with tempfile.TemporaryDirectory() as folder:
            write(path := f"{folder}/model.gguf", shape)
            model = load(path)
            model = cut(model, self.pattern, 4) if self.pattern else model
            base = machine_of(self.base)
            base = replace(
                base,
                formats=self.formats,
                patterns=self.patterns,
                columns=columns or base.columns,
                dram=DRAMS["ideal"],
            )
            machine, _ = fitting(model, base=base)
            return compile_model(model, machine, CONTEXT), machine


TERNARY = "S8", "TERNARY"
CASES = {
    "bitnet-lut": Case(SHAPES["BitNet-2B-4T"], "wide-lut", TERNARY),
    "bitnet-systolic": Case(SHAPES["BitNet-2B-4T"], "wide", TERNARY),
    "2:4": Case(LLAMA_2, "wide-dspchain", ("U4", "S8", "SPARSE4"), ("2:4",), "2:4"),
}


@dataclass(frozen=True)
class Port:
    """What a layer more takes: bytes of weights, cycles, and their share of what memory brings."""

    size: int
    cycles: int
    share: float


def measure(case: Case, columns: int | None, progress=None) -> Port:
    """Measure a case: the difference of :data:`LAYERS`. `columns`: the machine's, or another's."""
    sizes, cycles = [], []
    images = [case.image(layers, columns) for layers in LAYERS]
    machine = images[-1][1]
    with SimDevice(machine, build_progress=progress) as device:
        for image, _ in images:
            device.load(image)
            sizes.append(image.weight_bytes)
            cycles.append(device.step([3], 0, False).cycles)
    size, taken = sizes[1] - sizes[0], cycles[1] - cycles[0]
    return Port(size, taken, size / (taken * machine.beat_bytes))


def command(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.port", description=__doc__.splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(CASES)}; else all")
    parser.add_argument("--columns", type=int, metavar="N", help="instead of the machine's")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in CASES:
            raise UserError(f"the case must be one of {', '.join(CASES)}, not {name!r}")
    rows = []
    for name in args.names or CASES:
        with steps(name) as step:
            found = measure(CASES[name], args.columns, step)
        rows.append([name, f"{found.size:,}", f"{found.cycles:,}", f"{100 * found.share:.1f} %"])
    print("\n".join(table(["Case", "Bytes a layer", "Cycles a layer", "Port"], rows)))


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    return run_command("port", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

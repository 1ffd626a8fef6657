"""What sparsity buys: cycles per token at several densities, on the simulated FPGA.

The weights are SmolLM2's, cut by magnitude to each pattern: cycles depend on which weights are
zero, not on how good the model still is. Run as ``python -m headrace.studies.densities``.
"""

import argparse
import json
import sys
from dataclasses import replace

import numpy as np
from rich.table import Table

from host.errors import run_command
from host.files import replacing
from host.progress import console, progress
from mapper.compile import compile_model
from mapper.model import Layers, Linear
from mapper.prune import Pattern
from mapper.read.find import load
from rtl.spec.formats import SPARSE_BY_BITS
from sim.fpga.device import SimDevice
from sim.tools import ROOT

from ..options import MachineOptions, add_machine, read


__all__ = ["PATTERNS", "cut", "measure"]


# Weights kept of every 16 (or 4): every one, a half, a quarter, an eighth.
PATTERNS = {"dense": 1, "2:4": 1 / 2, "8:16": 1 / 2, "4:16": 1 / 4, "2:16": 1 / 8}
DEFAULT_CONFIG = "small-dspchain"
CONTEXT = 64
TOKEN = 504


def cut_linear(linear, name, bits):
    """A matrix with its largest weights only, as codes with a scale per row."""
    weights, limit = linear.float32(), (1 << bits - 1) - 1
    if name != "dense":
        pattern, cost = Pattern(name), weights * weights
        weights = np.where(pattern.keep(cost, pattern.counts(cost)), weights, 0)
    scale = np.abs(weights).max(1, keepdims=True) / np.float32(limit)
    codes = np.rint(weights / np.where(scale > 0, scale, 1)).astype(np.int8)
    if name == "dense":
        codes[codes == 0] = 1  # as many cycles as if none were zero
    return Linear(
        name=linear.name, source=linear.source, format=SPARSE_BY_BITS[bits], codes=codes, d=scale
    )


def cut(model, name, bits):
    """The model with the layers cut to a pattern."""

    def layer(n):
        whole = model.layers[n]
        return replace(
            whole, linears={k: cut_linear(v, name, bits) for k, v in whole.linears.items()}
        )

    formats = dict.fromkeys(model.layers[0].linears, SPARSE_BY_BITS[bits])
    return replace(model, layers=Layers(len(model.layers), layer, lambda n: formats))


def measure(config, bits, model="smollm2", report=lambda *_: None):
    """Figures by pattern: of a decode step's layers, and with the head, cycles and weight beats."""
    whole, figures = load(model), {}
    with SimDevice(config) as device:
        for n, (name, density) in enumerate(PATTERNS.items()):
            report(n, len(PATTERNS), name)
            device.load(compile_model(cut(whole, name, bits), config, CONTEXT))
            device.step([TOKEN], 0, False)
            layers, token = (device.step([TOKEN], 1 + head, bool(head)) for head in (0, 1))
            figures[name] = {
                "density": density,
                "layer_cycles": layers.cycles,
                "token_cycles": token.cycles,
                "layer_beats": layers.weight_beats,
                "starved": layers.starved,
            }
    return figures


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.densities", description=__doc__.splitlines()[0]
    )
    add_machine(parser, DEFAULT_CONFIG)
    parser.add_argument("--bits", type=int, default=8, choices=SPARSE_BY_BITS)
    args = parser.parse_args(argv)
    config = read(MachineOptions, args).machine(DEFAULT_CONFIG)
    with progress("densities") as report:
        figures = measure(config, args.bits, report=report)
    path = ROOT / "build" / f"densities-{config.name}-{args.bits}.json"
    with replacing(path) as part:
        part.write_text(json.dumps(figures, indent=2) + "\n")
    table = Table(
        box=None,
        pad_edge=False,
        title=f"SmolLM2 on {config.name}, {args.bits}-bit weights, one token",
    )
    for column in (
        "pattern",
        "density",
        "layers, cycles",
        "of dense",
        "weight beats",
        "of dense",
        "with head, cycles",
    ):
        table.add_column(column, justify="right")
    dense = figures["dense"]
    for name, f in figures.items():
        table.add_row(
            name,
            f"{f['density']:g}",
            f"{f['layer_cycles']:,}",
            f"{f['layer_cycles'] / dense['layer_cycles']:.3f}",
            f"{f['layer_beats']:,}",
            f"{f['layer_beats'] / dense['layer_beats']:.3f}",
            f"{f['token_cycles']:,}",
        )
    console(stderr=False).print(table)


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("densities", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

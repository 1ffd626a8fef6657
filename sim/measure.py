"""Figures that are worth comparing from commit to commit: `make bench`.

Every figure is of the commands that users type, run one after another on an otherwise quiet
machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from host.errors import UserError, run_command
from host.files import check_target, replacing
from host.progress import console, steps
from rtl.spec.config import get

from .fpga.build import accelerator_library
from .tools import ROOT


__all__ = ["UNITS", "measure"]


UNITS = (
    "bytes",
    "cycles_per_second",
    "cycles_per_token",
    "megabytes",
    "percent",
    "seconds",
    "seconds_per_token",
    "tokens",
    "tokens_per_second",
)
CONFIGS = [get("small"), get("wide")]  # `headrace compare-cores` measures the other cores
MODEL, PROMPT = "smollm2", "The capital of Germany is"
SIM_TOKENS, MODEL_TOKENS = 4, 17  # the first comes with the prompt, the others are decode steps


@dataclass(frozen=True)
class Done:
    """A command that ended: what it printed, its wall time, and the most memory it had."""

    output: dict
    seconds: float
    megabytes: float


def command(*args):
    """Run `headrace`, which prints JSON, in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "headrace.cli", *map(str, args), "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdout:
        text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"headrace {args[0]} failed with exit code {process.returncode}")
    return Done(json.loads(text), time.perf_counter() - start, usage.ru_maxrss / 1024)


def decode_steps(done):
    """(cycles, seconds) of each decode step of a `headrace run`."""
    return list(zip(done.output["cycles"], done.output["token_seconds"]))[1:]


def first_token(done):
    """Seconds from the start of a `headrace run` to its first token."""
    return done.seconds - sum(seconds for _, seconds in decode_steps(done))


def built(config):
    """Build the simulated FPGA; the seconds that it took, None if it was there already."""
    said, start = [], time.perf_counter()
    with steps(f"building the simulated FPGA ({config.name})") as step:
        accelerator_library(config, progress=lambda text: (said.append(text), step(text)))
    return time.perf_counter() - start if said else None


def compiled(config, image):
    """Figures of compiling."""
    done = command("compile", "--model", MODEL, "--config", config.name, "-o", image)
    return {
        "compile_seconds": done.seconds,
        "compile_peak_memory_megabytes": done.megabytes,
        "image_bytes": image.stat().st_size,
    }


def run(config, image, device, tokens):
    """Run an image."""
    return command(
        "run",
        "--model",
        image,
        "--config",
        config.name,
        "--device",
        device,
        "--prompt",
        PROMPT,
        "--tokens",
        tokens,
        "--greedy",
    )


def simulated(config, image):
    """Figures of the simulated FPGA."""
    done = run(config, image, "sim", SIM_TOKENS)
    cycles = median(cycles for cycles, _ in decode_steps(done))
    return {
        "decode_cycles_per_token": cycles,
        # In the middle of those that the median is of.
        "decode_position_tokens": len(done.output["prompt_ids"]) + (SIM_TOKENS - 2) // 2,
        "utilization_percent": 100 * done.output["utilization"],
        "clock_tokens_per_second": config.clock_mhz * 1e6 / cycles,
        "simulation_cycles_per_second": median(c / s for c, s in decode_steps(done)),
        "simulation_host_seconds_per_token": median(seconds for _, seconds in decode_steps(done)),
        "simulation_first_token_seconds": first_token(done),
        "simulation_peak_memory_megabytes": done.megabytes,
    }


def functional(config, image):
    """Figures of the functional model."""
    done = run(config, image, "model", MODEL_TOKENS)
    return {
        "model_tokens_per_second": 1 / median(seconds for _, seconds in decode_steps(done)),
        "model_first_token_seconds": first_token(done),
        "model_peak_memory_megabytes": done.megabytes,
    }


def measure(config, folder):
    """All figures of a configuration, by names that end in their unit."""
    image = Path(folder) / f"{config.name}.safetensors"
    seconds = built(config)
    figures = {} if seconds is None else {"simulation_build_seconds": seconds}
    for part in compiled, simulated, functional:
        figures |= part(config, image)
    return {f"{config.name}_{name}": figure for name, figure in figures.items()}


def table(figures):
    """The figures for people: a row for each, a column for each configuration."""
    out = Table(box=None, pad_edge=False)
    out.add_column("")
    for config in CONFIGS:
        out.add_column(config.name, justify="right")
    rows = dict.fromkeys(key.split("_", 1)[1] for key in figures)
    for row in rows:
        cells = (figures.get(f"{config.name}_{row}") for config in CONFIGS)
        out.add_row(
            row.replace("_", " "),
            *("" if x is None else f"{x:,.0f}" if x >= 1000 else f"{x:,.4g}" for x in cells),
        )
    return out


def measure_all(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.measure", description=__doc__)
    parser.add_argument(
        "--output", default=ROOT / "build" / "bench.json", type=Path, metavar="FILE"
    )
    args = parser.parse_args(argv)
    figures = {}
    check_target(args.output)
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        for config in CONFIGS:
            figures |= measure(config, folder)
    with replacing(args.output) as path:
        path.write_text(json.dumps(figures, indent=1) + "\n")
    console(stderr=False).print(table(figures))
    print(args.output)


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("measure", lambda: measure_all(argv))


if __name__ == "__main__":
    sys.exit(main())

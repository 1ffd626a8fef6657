"""How much of memory each weight format takes: ``python -m headrace.studies.utilization``.

A random Llama whose matrices are all in one format runs on the simulated FPGA in front of an ideal
DRAM, which brings a beat a cycle. The weights that two layers more take, over the cycles that they
take more, are the share of the beats. One configuration of each core has all formats of files: what
one costs is not what the machine is. Builds six simulators, in a quarter of an hour on two cores.
"""

import argparse
import sys
from collections.abc import Iterator

from host.errors import run_command
from host.progress import steps
from mapper.compile import compile_model
from rtl.spec.config import CORES, Config
from rtl.spec.dram import DRAMS
from rtl.spec.isa import WeightFormat
from sim.fpga.device import SimDevice
from sim.models.configs import of_files
from sim.models.toy import toy_model

from .document import table


__all__ = ["SIZES", "share", "rows"]


SIZES = ("small", "wide")
LAYERS = 2, 4
SHAPE = {"hidden": 512, "heads": 8, "kv_heads": 2, "ffn": 1536, "vocab": 256}


def share(device, config: Config, fmt: WeightFormat) -> float:
    """Bytes of weights that two layers more take, over what memory brings in their cycles."""
    sizes, cycles = [], []
    for layers in LAYERS:
        image = compile_model(toy_model(layers=layers, format=fmt, **SHAPE), config, 64)
        device.load(image)
        sizes.append(image.weight_bytes)
        cycles.append(device.step([3], 0, False).cycles)
    return (sizes[1] - sizes[0]) / ((cycles[1] - cycles[0]) * config.beat_bytes)


def rows(progress=None) -> Iterator[list]:
    """Yield the rows of the table: a core and a size, and the share of each format."""
    for core in CORES:
        for size in SIZES:
            config = of_files(core, size)
            with SimDevice(config, memory=DRAMS["ideal"], build_progress=progress) as device:
                found = [share(device, config, fmt) for fmt in config.weight_formats]
            yield [core, f"{config.beat_bits} bits", *(f"{100 * each:.1f} %" for each in found)]


def command(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.utilization", description=__doc__
    )
    parser.parse_args(argv)
    formats = [fmt.name for fmt in of_files("systolic").weight_formats]
    with steps("measuring") as step:
        found = list(rows(step))
    print("\n".join(table(["Core", "Beats", *formats], found, left=2)))


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    return run_command("utilization", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

"""The estimate of cycles beside RTL: ``python -m headrace.studies.estimates [--cases N]``.

Draws cases by a seed: a configuration, a model that it takes, how many columns, and a position.
Each is one step on the simulated FPGA, in front of the configuration's DRAM, and one of
:func:`mapper.estimate.estimate`. Models are those that come with Headrace, two layers of SmolLM2,
and random Llamas (:func:`sim.models.shape.draw`). Prints a table with the error of each case, and
one with the mean and the worst of each machine; ``--output`` writes the figures as JSON.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import Any

from host.errors import UserError, run_command
from host.files import check_target, replacing
from host.progress import steps
from mapper.compile import compile_model
from mapper.estimate import estimate
from mapper.read.find import load
from mapper.truncate import first_layers
from rtl.spec.config import CONFIGS, Config
from sim.fpga.device import SimDevice
from sim.models.configs import CONFIGS as RANDOM
from sim.models.shape import draw

from .document import table


__all__ = ["Case", "Measured", "by_machine", "cases", "measure", "summary"]


# Both sizes, all cores, other widths of beats, lanes, columns and prefetch buffers, all memories.
MACHINES = [
    replace(CONFIGS["small"], name="small-64", beat_bits=64),
    *(CONFIGS[name] for name in ("small", "wide", "wide-lut", "small-dspchain", "wide-dspchain")),
    *(RANDOM[name] for name in ("odd", "models-lut", "models-dspchain")),
]
MODELS = ("tiny", "tiny-sparse", "tiny-mixed", "smollm2")
CONTEXT = 1024
CUT = 2  # layers of SmolLM2
COLUMNS = ["Machine", "Model", "Position", "Columns", "Head", "RTL", "Estimate", "Error"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A step to be measured.

    Attributes
    ----------
    config : :class:`~rtl.spec.config.Config`
    model : :class:`str`
        Its name, or what is random of it.
    image : :class:`~host.image.image.Image`
    position, columns : :class:`int`
    head : :class:`bool`
    """

    config: Config
    model: str
    image: Any
    position: int
    columns: int
    head: bool


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of a case. `error` is relative."""

    machine: str
    model: str
    position: int
    columns: int
    head: bool
    cycles: int
    estimate: int

    @property
    def error(self) -> float:
        """Of the estimate."""
        return self.estimate / self.cycles - 1


@lru_cache(maxsize=None)
def _known(name: str, config: Config):
    """A model that comes with Headrace, compiled; None if the configuration does not take it."""
    model = load(name)
    try:
        image = compile_model(model, config, min(CONTEXT, model.context))
    except UserError:
        return None
    return first_layers(image, CUT) if image.model["layers"] > 4 else image


def cases(count: int, seed: int, machines: list[Config] | None = None) -> Iterator[Case]:
    """Yield cases, those of a machine one after the other."""
    chance = random.Random(seed)
    machines = MACHINES if machines is None else machines
    for n, config in enumerate(machines):
        for _ in range(count * (n + 1) // len(machines) - count * n // len(machines)):
            name = chance.choice([*MODELS, *["random"] * 2])
            image = None if name == "random" else _known(name, config)
            if image is None:
                shape, image = draw(config, chance)
                name = f"random {shape.hidden} x {shape.layers}"
            columns = chance.choice([1, 1, chance.randint(1, config.columns)])
            columns = min(columns, image.context)
            most = image.context - columns
            yield Case(
                config=config,
                model=name,
                image=image,
                position=chance.choice([chance.randint(0, most), int(most * chance.random() ** 3)]),
                columns=columns,
                head=chance.random() < 0.7,
            )


def measure(case: Case, device: SimDevice) -> Measured:
    """Run a case on a device of its configuration, and estimate it."""
    chance = random.Random(case.position)
    tokens = [chance.randrange(case.image.vocab) for _ in range(case.columns)]
    device.load(case.image)
    cycles = device.step(tokens, case.position, case.head).cycles
    assert cycles is not None
    found = estimate(
        case.image, case.config, position=case.position, columns=case.columns, head=case.head
    )
    return Measured(
        machine=case.config.name,
        model=case.model,
        position=case.position,
        columns=case.columns,
        head=case.head,
        cycles=cycles,
        estimate=found.cycles,
    )


def summary(found: list[Measured]) -> dict:
    """Mean and worst error, in percent of RTL's cycles, as figures with their units."""
    errors = [100 * abs(its.error) for its in found]
    return {
        "estimate_mean_error_percent": mean(errors),
        "estimate_worst_error_percent": max(errors),
    }


def by_machine(found: list[Measured]) -> Iterator[list[str]]:
    """Yield a row for each machine, and one for all: cases, mean and worst error."""
    machines = list(dict.fromkeys(its.machine for its in found))
    for name in [*machines, None]:
        errors = [100 * abs(its.error) for its in found if name in (its.machine, None)]
        yield [name or "all", str(len(errors)), f"{mean(errors):.2f} %", f"{max(errors):.2f} %"]


def measured(count: int, seed: int, say=None, machines=None) -> Iterator[Measured]:
    """Yield what comes of cases."""
    device, config = None, None
    try:
        for case in cases(count, seed, machines):
            if case.config is not config:
                if device is not None:
                    device.close()
                config = case.config
                device = SimDevice(config, build_progress=say)
            assert device is not None
            yield measure(case, device)
    finally:
        if device is not None:
            device.close()


def _row(its: Measured) -> list[str]:
    return [
        its.machine,
        its.model,
        str(its.position),
        str(its.columns),
        "yes" if its.head else "",
        f"{its.cycles:,}",
        f"{its.estimate:,}",
        f"{100 * its.error:+.2f} %",
    ]


def command(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.estimates", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cases", type=int, default=64, metavar="N", help="64 if not given")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what draws them")
    parser.add_argument(
        "--machine", action="append", metavar="NAME", help="only this one; may be repeated"
    )
    parser.add_argument("--output", metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args(argv)
    if args.cases < 1:
        raise UserError(f"--cases must be at least 1, not {args.cases}")
    names = [config.name for config in MACHINES]
    for name in args.machine or ():
        if name not in names:
            raise UserError(f"--machine must be one of {', '.join(names)}, not {name!r}")
    if args.output is not None:
        check_target(args.output)
    machines = [c for c in MACHINES if not args.machine or c.name in args.machine]
    found = []

    def rows(step):
        for its in measured(args.cases, args.seed, step, machines):
            found.append(its)
            yield _row(its)

    with steps("measuring") as step:
        for line in table(COLUMNS, rows(step), left=2):
            print(line, flush=True)
    figures = summary(found)
    print(*table(["Machine", "Cases", "Mean", "Worst"], by_machine(found)), sep="\n")
    if args.output is not None:
        with replacing(Path(args.output)) as path:
            cases_of = [asdict(its) for its in found]
            path.write_text(json.dumps(figures | {"cases": cases_of}, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    return run_command("estimates", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

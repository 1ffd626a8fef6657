"""After a bitstream is built: compare its report with the baseline, and say how to load it."""

import json
from pathlib import Path

from rich.table import Table

from host.files import replacing

from .board import BOARDS
from .flow import NAME
from .models import MODELS, fitting


__all__ = [
    "BASELINES",
    "baseline",
    "boards_table",
    "folder_of",
    "instructions",
    "name_of",
    "path_of",
    "save_baseline",
]


BASELINES = Path(__file__).parent / "baselines"


def baseline(name):
    """The report that is checked in, or None."""
    try:
        return json.loads((BASELINES / f"{name}.json").read_text())
    except FileNotFoundError:
        return None


def save_baseline(name, report):
    """Make a report the one to compare with."""
    kept = {key: value for key, value in report.items() if key != "digest"}
    with replacing(BASELINES / f"{name}.json") as path:
        path.write_text(json.dumps(kept, indent=1) + "\n")


def folder_of(root, board, *, bare=False):
    """Where a board's bitstream is built, unless another folder is named."""
    return root / "build" / name_of(board, bare=bare)


def name_of(board, *, bare=False):
    """What a board's bitstream is called: folders and baselines have its name."""
    return f"{board.config.name}-bare" if bare else board.config.name


def path_of(folder):
    """The bitstream in a folder."""
    return folder / f"{NAME}.bit"


def instructions(board, folder, config, machine=True):
    """Yield what to do with a bitstream; `config` is how its configuration is typed."""
    path = path_of(folder)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    yield f"\n{shown}"
    yield f"  load it:  {board.load.format(bit=shown)}   (`headrace load` does so)"
    if board.wiring:
        yield f"  connect {board.wiring}"
    if machine:
        model = (fitting(board) or MODELS[-1]).name
        yield (f"  talk to it:  headrace run --device uart:{board.port} {config} --model {model}")


def boards_table():
    """The boards, what is on them, and what fits."""
    out = Table(box=None, pad_edge=False)
    for head in ("BOARD", "memory", "MiB", "MHz", "MB/s", *(model.name for model in MODELS)):
        out.add_column(
            head, justify="left" if head in ("BOARD", "memory") else "right", no_wrap=True
        )
    for board in BOARDS.values():
        out.add_row(
            board.name,
            f"{board.dram.kind.upper()} x16",
            str(board.dram.chip.bytes >> 20),
            f"{board.clock_mhz:g}",
            f"{board.peak / 1e6:.0f}",
            *(model.lack(board) or f"{model.tokens_per_second(board):.1f}" for model in MODELS),
        )
    return out

"""Progress on the terminal: on stderr, so that stdout has nothing but the answer."""

import sys
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


__all__ = ["below", "console", "progress", "steps"]


def console(stderr=True):
    """A console of the stream as it is now: tests and redirections replace it."""
    # Names of files and models are text, whatever brackets and colons they have.
    return Console(
        file=sys.stderr if stderr else sys.stdout, highlight=False, markup=False, emoji=False
    )


def live(*columns):
    # What is printed meanwhile goes above the bar, but never from stdout's file to the terminal.
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console(),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def progress(what):
    """Show a bar that goes away when done. Gives a function of any of (done, total, what)."""
    with live(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    ) as bars:
        task = bars.add_task(what, total=None)

        def report(done=None, total=None, what=None):
            # rich leaves alone what is None.
            bars.update(task, completed=done, total=total, description=what)

        yield report


@contextmanager
def steps(what):
    """Show which step is being done. Gives a function of a step's name; without steps, shows
    nothing.

    Where nothing can be shown and go away again, each step is a line.
    """
    with live(SpinnerColumn(), TextColumn("{task.description}", markup=False)) as bars:
        tasks = []

        def step(name):
            text = f"{what}: {name}"
            if bars.disable:
                bars.console.print(text, soft_wrap=True)
            elif tasks:
                bars.update(tasks[0], description=text)
            else:
                tasks.append(bars.add_task(text, total=None))

        yield step


def below(text=""):
    """Show a line below the one that stdout is in the middle of, in place of the last such line."""
    terminal = console()
    if not (terminal.is_terminal and sys.stdout.isatty()) or terminal.is_dumb_terminal:
        return
    sys.stdout.flush()
    # Down and up again makes sure that there is a line below before the cursor is saved.
    print(
        f"\x1bD\x1b[A\x1b7\r\n\x1b[2K\x1b[2m{text[: terminal.width - 1]}\x1b[m\x1b8",
        end="",
        file=sys.stderr,
        flush=True,
    )

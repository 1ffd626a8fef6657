"""Progress on the terminal: bars on stderr, so that stdout has nothing but the answer."""

import sys
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


__all__ = ["console", "progress"]


def console(stderr=True):
    """A console of the stream as it is now: tests and redirections replace it."""
    return Console(file=sys.stderr if stderr else sys.stdout, highlight=False)


@contextmanager
def progress(what):
    """Show a bar that goes away when done. Gives a function of any of (done, total, what)."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console(), transient=True,
                  disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(what, total=None)

        def report(done=None, total=None, what=None):
            # rich leaves alone what is None.
            bars.update(task, completed=done, total=total, description=what)

        yield report

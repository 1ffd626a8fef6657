"""Progress of a prompt that a device reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from host.progress import progress

from .runner import Runner


__all__ = ["reading"]


@contextmanager
def reading(runner: Runner) -> Iterator[Callable[[int, int], None]]:
    """Show how much of a prompt is read. Gives the `progress` of
    :meth:`~host.language.generate.Session.feed`.
    """
    device, what, at, batch = runner.device, "reading the prompt", 0, 0
    cycles = runner.image.report["estimated_cycles_per_token"]

    def fed(done, total):
        nonlocal at, batch
        at, batch = done, min(runner.machine.columns, total - done)
        report(done, total)

    with progress(what) as report:
        device.progress = lambda n: report(
            at + batch * min(1, n / cycles), what=f"{what}, {n:,} cycles"
        )
        try:
            yield fed
        finally:
            device.progress = None

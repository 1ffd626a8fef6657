"""Functional coverage of random programs: bins, by class."""

from host.errors import UserError

from ..programs.compare import Difference, Pair
from ..programs.coverage import CLASSES, Coverage
from ..programs.trials import programs


__all__ = ["entries", "run", "worse"]


def run(config, count, seed=1):
    """Run random programs; returns their :class:`~sim.programs.coverage.Coverage`."""
    coverage = Coverage(config)
    with Pair(config, coverage) as pair:
        for n, world, program in programs(config, seed, count):
            try:
                pair.compare(world, program)
            except Difference as difference:
                raise UserError(
                    f"program {n} of seed {seed}: {difference}; "
                    f"run `make random SEED={seed} N={n + 1}`"
                ) from None
    return coverage


def entries(coverage):
    """A record's entries: for each class of bins how many were reached and how many there are, and
    the bins that were not."""
    classes = {}
    for name in CLASSES:
        bins = {each for each in coverage.reachable if each[0] == name}
        classes[name] = [len(bins & set(coverage.seen)), len(bins)]
    return {"classes": classes, "missing": coverage.missing}


def worse(before, now):
    """Yield a line for each bin that was reached, or is new, and is not reached now."""
    if before:
        for missing in sorted(set(now["missing"]) - set(before["missing"])):
            yield f"{missing}: no program reaches it"

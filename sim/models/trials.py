"""Random models on both machines, by the number: `headrace random --models`."""

from dataclasses import asdict
from random import Random

from host.progress import progress, steps

from ..programs.compare import Difference
from .case import draw
from .compare import Pair
from .coverage import Coverage
from .shrink import shrink


__all__ = ["cases", "run"]


def cases(config, seed, numbers):
    """Yield (number, case, image) of models for a configuration. A number has the same case
    always.
    """
    for n in numbers:
        yield n, *draw(config, Random(f"model {config.name} {seed} {n}"))


def described(case):
    """What a case is, for people."""
    shape = " ".join(
        f"{name}={value}" for name, value in asdict(case.shape).items() if name != "formats"
    )
    formats = " ".join(f"{name}={fmt}" for name, fmt in case.shape.formats)
    taken = "; ".join(
        f"{len(step.tokens)} at {step.position}{' head' * step.head}" for step in case.steps
    )
    return f"{shape}; {formats}; tokens {taken}; stall {case.dram.stall}"


def failed(pair, seed, n, case, difference):
    """Say what went wrong, and on which smallest model it still does."""
    print(f"model {n} of {pair.config.name}, seed {seed}: {difference}\n    {described(case)}")
    small, difference = shrink(pair, case)
    print(f"    smallest: {difference}\n    {described(small)}", flush=True)


def run(configs, seed, count):
    """Run models on configurations in turn. Returns how many failed."""
    coverage, failures, done = Coverage(configs), 0, 0
    for turn, config in enumerate(configs):
        with steps(f"building the simulated FPGA, once ({config.name})") as step:
            pair = Pair(config, step)
        with progress(f"random models ({config.name})") as report:
            for n, case, image in cases(config, seed, range(turn, count, len(configs))):
                report(done, count)
                try:
                    pair.compare(case, image)
                except Difference as difference:
                    failures += 1
                    failed(pair, seed, n, case, difference)
                coverage.ran(config, case)
                done += 1
    print(
        f"{100 * coverage.share:.1f} % of {len(coverage.reachable)} bins: formats, columns and "
        "heads, ends"
    )
    for missing in coverage.missing:
        print(f"    never: {', '.join(missing)}")
    return failures

"""Random programs on both machines, by the number: `headrace random`."""

from random import Random

from host.errors import UserError
from host.progress import progress, steps

from ..tools import ROOT
from .compare import Difference, Pair
from .coverage import Coverage
from .generator import generate
from .kept import keep, kept
from .shrink import shrink
from .world import World


__all__ = ["again", "programs", "run"]


WORLD = 100  # programs that share a world
SHOWN = 3  # failures that are shrunk, which takes as long as some hundred programs
FOLDER = ROOT / "build" / "random"
LONG = 10  # of so many worlds, the last has a long context


def random_of(*what):
    """A generator of random numbers that `what` alone decides."""
    return Random(" ".join(map(str, what)))


def programs(config, seed, count):
    """Yield (number, world, program)."""
    for n in range(count):
        if n % WORLD == 0:
            world = World(config, random_of("world", seed, n), n // WORLD % LONG == LONG - 1)
        yield n, world, generate(world, random_of("program", seed, n))


def failed(pair, world, program, difference, name):
    """Say what went wrong, with the shortest program that still does, and keep that in a file."""
    small = shrink(pair, world, program)
    path = FOLDER / f"{pair.config.name}-{name}.json"
    keep(path, world, small, f"program {name}: {difference}")
    print(
        f"{len(small.insns)} of its {len(program.insns)} instructions are in "
        f"{path.relative_to(ROOT)}; tokens "
        f"{program.tokens}, position {program.position}, head {int(program.head)}:"
    )
    for insn in small.insns:
        print(f"    {insn}")


def run(config, seed, count, checked=False):
    """Run programs. Returns how many failed."""
    failures, coverage = 0, Coverage(config)
    with steps(f"building the simulated FPGA, once ({config.name})") as step:
        pair = Pair(config, coverage, step, checked=checked)
    with pair, progress("random programs") as report:
        for n, world, program in programs(config, seed, count):
            report(n, count)
            try:
                pair.compare(world, program)
            except Difference as difference:
                failures += 1
                print(f"program {n} of seed {seed}: {difference}")
                if failures <= SHOWN:
                    failed(pair, world, program, difference, f"{seed}-{n}")
    for line in coverage.table():
        print(line)
    for missing in coverage.missing:
        print(f"    never: {missing}")
    return failures


def again(path):
    """Run a program that was kept. Returns how many failed: 0 or 1."""
    try:
        program = kept(path)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: expected a program that `make random` kept, found something else"
        ) from None
    with Pair(program.config) as pair:
        try:
            pair.compare(program, program.program)
        except Difference as difference:
            print(f"{path}: {difference}")
            return 1
    return 0

"""Mutants of the whole accelerator, and whether random programs alone kill them.

They are drawn as those of benches are: of all files that the accelerator is made of, in proportion
to the lines of each component. One simulated FPGA has them all; each runs in a process of its own,
since a mutant may crash the simulation.
"""

import multiprocessing
import os

from rtl.top import Accelerator

from ..fpga.build import library, without_zeros
from ..programs.__main__ import programs
from ..programs.compare import Difference, Pair
from .netlist import VARIABLE, draw, insert, netlist, simulated
from .owners import OWNERS, shares


__all__ = ["TopNet"]


TOP = "accelerator"
SECONDS = 300     # of all programs of one mutant: one that takes longer hangs, and is killed


class TopNet:
    """An accelerator with mutants, and the programs that are to kill them.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
    count, seed : :class:`int`
        How many mutants, and what chooses them and the programs.
    trials : :class:`int`
        Random programs for each.
    build_progress : callable or None
        Called with a line of text before each long step.

    Attributes
    ----------
    mutants : list of :class:`~.netlist.Mutant`
    mutated : :class:`str`
        See :func:`~.netlist.insert`.
    """
    def __init__(self, config, count, seed, *, trials, build_progress=None):
        self.config, self.trials, self.seed = config, trials, seed
        text = netlist(Accelerator(config), TOP)
        units = [unit for unit, owner in OWNERS.items()
                 if any(f"/rtl/{name}.py:" in text for name in owner.files)]
        given = shares(count, units)
        self.mutants = draw(text, [(OWNERS[unit].files, given[unit]) for unit in units
                                   if given[unit]], seed)
        self.mutated = insert(text, TOP, self.mutants)
        self._library = library(f"{config.name}-mutants",
                                lambda: without_zeros(simulated(self.mutated, TOP)),
                                beat_bytes=config.beat_bytes, progress=build_progress)

    def kill(self, number):
        """What kills a mutant, as a text; None when nothing does. 0 is the good accelerator."""
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._run, args=(number, theirs))
        process.start()
        theirs.close()
        try:
            return ours.recv() if ours.poll(SECONDS) else "it hangs"
        except EOFError:
            return "the simulation stops"
        finally:
            process.kill()
            process.join()

    def _run(self, number, pipe):
        os.environ[VARIABLE] = str(number)
        with Pair(self.config, library=self._library) as pair:
            for n, world, program in programs(self.config, self.seed, self.trials):
                try:
                    pair.compare(world, program)
                except Difference as difference:
                    pipe.send(f"program {n}: {difference}")
                    return
        pipe.send(None)

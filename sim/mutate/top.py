"""Mutants of the whole accelerator, and whether random programs and random models alone kill them.

They are drawn as those of benches are: of all files that the accelerator is made of, in proportion
to the lines of each component. One simulated FPGA has them all; each runs in a process of its own,
since a mutant may crash the simulation.
"""

import multiprocessing
import os
import time
from collections import deque

from host.device import DeviceError
from rtl.top import Accelerator

from ..fpga.build import library, without_zeros
from ..models import compare as models_compare, trials as models
from ..programs import compare as programs_compare
from ..programs.trials import programs
from .netlist import VARIABLE, draw, insert, netlist, simulated
from .owners import OWNERS, shares


__all__ = ["TopNet"]


TOP = "accelerator"
PATIENCE = 5  # times the good accelerator's run: a mutant that takes longer hangs, and is killed
LEAST = 60.0  # seconds


class TopNet:
    """An accelerator with mutants, and the programs and models that are to kill them.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    count, seed : :class:`int`
        How many mutants, and what chooses them, the programs and the models.
    trials : (:class:`int`, :class:`int`)
        Random programs for each, and random models for those that no program kills.
    build_progress : callable or None
        Called with a line of text before each long step.

    Attributes
    ----------
    mutants : list of :class:`~.netlist.Mutant`
    mutated : :class:`str`
        See :func:`~.netlist.insert`.
    """

    def __init__(self, config, count, seed, *, trials, build_progress=None):
        self.config, self.seed = config, seed
        # Drawn once: the processes of all mutants begin with them.
        self._programs = list(programs(config, seed, trials[0]))
        self._models = list(models.cases(config, seed, range(trials[1])))
        text = netlist(Accelerator(config), TOP)
        units = [
            unit
            for unit, owner in OWNERS.items()
            if any(f"/rtl/{name}.py:" in text for name in owner.files)
        ]
        given = shares(count, units)
        self.mutants = draw(
            text, [(OWNERS[unit].files, given[unit]) for unit in units if given[unit]], seed
        )
        self.mutated = insert(text, TOP, self.mutants)
        self._library = library(
            f"{config.name}-mutants",
            without_zeros(simulated(self.mutated, TOP)),
            beat_bytes=config.beat_bytes,
            config=config,
            progress=build_progress,
        )

    def good(self):
        """What kills the accelerator without a mutant: None, or nothing can be said of mutants."""
        start = time.monotonic()
        why = self._verdict(*self._start(0), limit=None)
        # They run side by side, and each has less of the machine than the good one had.
        self._limit = max(LEAST, PATIENCE * (time.monotonic() - start))
        return why

    def kills(self, numbers, workers=None):
        """Yield (number, what kills that mutant as a text, or None), in the order of `numbers`.

        After :meth:`good`. One process a processor, or `workers` of them.
        """
        running = deque()
        for number in numbers:
            if len(running) == (workers or os.cpu_count()):
                yield self._ended(running)
            running.append((number, self._start(number)))
        while running:
            yield self._ended(running)

    def _ended(self, running):
        number, process = running.popleft()
        return number, self._verdict(*process, limit=self._limit)

    def _start(self, number):
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self._run, args=(number, theirs))
        process.start()
        theirs.close()
        return process, ours, time.monotonic()

    def _verdict(self, process, pipe, start, limit):
        left = limit and max(0, start + limit - time.monotonic())
        try:
            return pipe.recv() if pipe.poll(left) else "it hangs"
        except EOFError:
            return "the simulation stops"
        finally:
            process.kill()
            process.join()

    def _run(self, number, pipe):
        os.environ[VARIABLE] = str(number)
        pipe.send(self._difference())

    def _difference(self):
        """The first trial in which accelerator and functional machine differ, as a text, or
        None.
        """
        with programs_compare.Pair(self.config, library=self._library) as pair:
            for n, world, program in self._programs:
                try:
                    pair.compare(world, program)
                except (programs_compare.Difference, DeviceError) as difference:
                    return f"program {n}: {difference}"
        pair = models_compare.Pair(self.config, library=self._library)
        for n, case, image in self._models:
            try:
                pair.compare(case, image)
            except (models_compare.Difference, DeviceError) as difference:
                return f"model {n}: {difference}"
        return None

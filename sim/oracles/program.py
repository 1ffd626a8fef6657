"""Oracle of whole programs."""

import numpy as np

from rtl.spec.config import UNIT_BYTES
from sw_ref.checks import Bounds
from sw_ref.legal import decoded
from sw_ref.machine import Machine
from sw_ref.pytorch.machine import TorchMachine
from sw_ref.sequencer import Sequencer

from .oracle import Oracle


__all__ = ["RUN"]


def reference(config, memory, words, writable, tokens, position):
    """`machine.Machine`"""
    machine = Machine(config, memory.copy(), writable=writable)
    machine.run(words, tokens=tokens, position=position)
    ids, values = zip(*machine.best)
    return machine.memory, np.array(ids), np.array(values, np.float32)


def exact(config, memory, words, writable, tokens, position):
    """`torch_machine.TorchMachine`, behind the sequencer"""
    memory = memory.numpy().astype(np.uint8)
    machine = TorchMachine(config, memory, len(tokens))
    bounds = Bounds(config, len(memory) // UNIT_BYTES, *writable)
    sequencer = Sequencer(decoded(tuple(words), config.program_words), bounds, len(tokens))
    for _, insn in sequencer.run(tokens, position, True):
        machine.execute(insn)
    return memory, *machine.best


# Its parts are compared with plain PyTorch, each for itself.
RUN = Oracle("program.RUN", reference, exact)

"""Whether ATTENDs of a program make softmax rescale its sums."""

from collections import deque

import numpy as np

from rtl.spec.config import KV_BLOCK
from rtl.spec.isa import Attend, Dest, Quant
from sw_ref.attention import scores, weights


__all__ = ["Maxima"]


BLOCKS = 8  # of a head that are looked at: the longest context has 2,048


class Maxima:
    """Follows what a functional machine executes.

    Parameters
    ----------
    machine : :class:`~sw_ref.machine.Machine`

    Attributes
    ----------
    grown : set of :class:`bool`
        Of the heads and queries of all ATTENDs that have no window and no cap: whether the running
        maximum of the scores grows behind the first block. Nothing is said of a head that has one
        block.
    """

    def __init__(self, machine):
        self._machine, self._queries, self.grown = machine, deque(), set()

    def follow(self, insn):
        """Take an instruction that the machine has just executed."""
        match insn:
            case Quant(dest=Dest.QUERY):
                count = insn.outer * insn.inner // self._machine.config.head_dim
                self._queries.extend(
                    list(self._machine.queries)[len(self._machine.queries) - count :]
                )
            case Attend():
                for head in range(insn.heads):
                    groups = [self._queries.popleft() for _ in range(insn.queries)]
                    if not (insn.window or insn.cap):
                        self._attend(insn.addr + head * insn.stride, insn.length, groups)

    def _attend(self, addr, length, groups):
        length = min(length, BLOCKS * KV_BLOCK)
        if length <= KV_BLOCK:
            return
        keys, k_exponents, _, v_exponents = (
            part.reshape(-1, *part.shape[2:])[:length] for part in self._machine.cache(addr, length)
        )
        q, q_exponents = map(np.array, zip(*groups))
        _, *rescaled = (
            shifts[1]
            for shifts, *_ in weights(scores(q, q_exponents, keys, k_exponents), v_exponents)
        )
        self.grown |= set((np.array(rescaled) > 0).any(0).tolist())

"""The token loop: prompt in batches, then one token after another."""

import time
from dataclasses import dataclass

from ..errors import UserError
from .sampling import Sampler


__all__ = ["Token", "Session"]


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that was generated, and what it took.

    Attributes
    ----------
    id : :class:`int`
    position : :class:`int`
        Where it belongs in the sequence.
    top_ids, top_logits : list of :class:`int`, of :class:`float`
        The best tokens, best first.
    fed : :class:`int`
        Tokens that were fed to get this one: all that is new of the prompt, then one each.
    cycles : :class:`int` or None
        Device cycles that these took; None if the device does not count.
    weight_beats : :class:`int`
        Beats of weights that the device read for these; 0 if it does not count.
    seconds : :class:`float`
        Host seconds that these took.
    """

    id: int
    position: int
    top_ids: list[int]
    top_logits: list[float]
    fed: int
    cycles: int | None
    weight_beats: int
    seconds: float


class Session:
    """A sequence of tokens in a device's KV cache.

    Parameters
    ----------
    device : :class:`host.device.Device`
        With an image loaded.
    context : :class:`int`
        Positions that the image's KV cache has.
    columns : :class:`int`
        Tokens that a step takes at most.
    vocab : :class:`int`
        Number of token ids.
    eos : sequence of :class:`int`
        Tokens that end an answer.

    Attributes
    ----------
    ids : list of :class:`int`
        Tokens whose keys and values the device holds.
    stopped : :class:`str` or None
        Why the last token was the last: ``"eos"``, ``"tokens"`` or ``"context"``; None before.
    """

    def __init__(self, device, *, context, columns, vocab, eos=()):
        self.device, self.context, self.columns, self.vocab = device, context, columns, vocab
        self.eos, self.ids = frozenset(eos), []
        self.stopped: str | None = None

    def check(self, ids):
        """Refuse a prompt that cannot be run."""
        if not ids:
            raise UserError("prompt: it must have at least one token, it is empty")
        if len(ids) > self.context:
            raise UserError(
                f"prompt: its {len(ids)} tokens must fit in the context of "
                f"{self.context} positions; shorten it, or compile with a larger --context"
            )
        for token in ids:
            if not 0 <= token < self.vocab:
                raise UserError(f"prompt: tokens must be below {self.vocab}, not {token}")

    def kept(self, ids):
        """How many tokens of a sequence the device holds already; the last must be fed anyway."""
        same = 0
        while same < min(len(self.ids), len(ids) - 1) and self.ids[same] == ids[same]:
            same += 1
        return same

    def feed(self, ids, progress=lambda done, total: None):
        """Bring the device to the end of the sequence `ids`. Returns all
        :class:`host.device.Step`s.

        What the device holds of its beginning is not fed again.
        """
        self.check(ids)
        start = self.kept(ids)
        del self.ids[start:]
        steps = []
        for at in range(start, len(ids), self.columns):
            batch = list(ids[at : at + self.columns])
            progress(at - start, len(ids) - start)
            steps.append(self.device.step(batch, at, at + len(batch) == len(ids)))
            self.ids += batch
        progress(len(ids) - start, len(ids) - start)
        return steps

    def generate(self, ids, tokens, sampler=None, progress=lambda done, total: None):
        """Yield up to `tokens` :class:`Token` that continue the sequence `ids`.

        Ends early after a token of `eos`, and when the context is full. `progress` is told how
        many tokens of a step's are done.
        """
        ids, sampler = list(ids), sampler or Sampler()
        self.check(ids)
        self.stopped = None
        for left in reversed(range(tokens)):
            began, fed = time.perf_counter(), len(ids) - self.kept(ids)
            steps = self.feed(ids, progress)
            cycles = [s.cycles for s in steps]
            top_ids = [int(i) for i in steps[-1].ids]
            top_logits = [float(x) for x in steps[-1].logits]
            token = sampler.choose(top_ids, top_logits)
            self.stopped = (
                "eos"
                if token in self.eos
                else "context"
                if len(ids) == self.context
                else None
                if left
                else "tokens"
            )
            yield Token(
                id=token,
                position=len(ids),
                top_ids=top_ids,
                top_logits=top_logits,
                fed=fed,
                cycles=None if None in cycles else sum(cycles),
                weight_beats=sum(s.weight_beats for s in steps),
                seconds=time.perf_counter() - began,
            )
            if self.stopped:
                return
            ids.append(token)

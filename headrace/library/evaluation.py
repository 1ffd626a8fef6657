"""Is it still the model? Best tokens beside an oracle's, and all logits beside float32's."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from host.errors import UserError
from host.progress import progress

from .machines import Machine, fitting
from .runner import Runner


if TYPE_CHECKING:
    from mapper.model import Model as Source


__all__ = ["agreement", "checked_ids", "machine_for", "perplexities", "reference_logits"]


def agreement(runner: Runner, items: list[dict]) -> dict:
    """How often the device's best token is the oracle's next, on the oracle's own path."""
    total, device = sum(len(item["f32_gen_ids"]) for item in items), runner.device
    with progress("following the oracle") as report:
        if hasattr(device, "logits"):
            from sw_ref.evaluation import top1_agreement

            pairs = [(item["prompt_ids"], item["f32_gen_ids"]) for item in items]
            positions, same = top1_agreement(device, pairs, lambda done: report(done, total))
            return {"positions": positions, "top1_agreement": same / positions}
        same = positions = 0
        for item in items:
            session, path = runner.session(), list(item["prompt_ids"])
            for expected in item["f32_gen_ids"]:
                same += int(session.feed(path)[-1].ids[0]) == expected
                path.append(expected)
                positions += 1
                report(positions, total)
    return {"positions": positions, "top1_agreement": same / positions}


def perplexities(model, device, windows):
    """The machine beside float32, on the same windows.

    `kl` is the mean over positions of the divergence of the machine's distribution from float32's,
    in nats. `change_error` is the standard error of the relative change of the perplexity: what
    another text of the same length may say.
    """
    from sw_ref.evaluation import compared

    with progress("evaluating") as report:
        found = compared(
            model, device, windows, lambda what, done, total: report(done, total, what)
        )
    change = found.losses - found.reference
    return {
        "positions": len(found.kl),
        "top1_agreement": float(found.agree.mean()),
        "kl": float(found.kl.mean()),
        "perplexity": math.exp(found.losses.mean()),
        "reference_perplexity": math.exp(found.reference.mean()),
        "change_error": float(change.std() / math.sqrt(len(change))),
        "tokens": len(change),
    }


def machine_for(source: "Source", head: str | None = None) -> Machine:
    """The machine that numbers are measured on where nobody names one: they are the same in every
    configuration, so this is the one that is done soonest.

    It has what the model needs: heads as wide, a cap of scores, and no more columns than fit.
    """
    from sw_ref.evaluation import EVALUATION

    able = replace(EVALUATION, score_cap=source.shape.attention_cap)
    return fitting(source, head, able)[0]


def checked_ids(ids: Iterable[int], vocab: int, context: int, least: int = 1) -> list[int]:
    """Ids of one sequence. Raises :exc:`UserError` for what is none, too many, or too few."""
    found = list(ids)
    for n in found:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise UserError(f"ids must be integers, not {n!r:.40}")
        if not 0 <= n < vocab:
            raise UserError(f"ids must be from 0 to {vocab - 1}, the vocabulary, not {n}")
    if not least <= len(found) <= context:
        raise UserError(f"ids must be {least} to {context}, the context, not {len(found)}")
    return [int(n) for n in found]


def reference_logits(source: "Source", ids: list[int]) -> np.ndarray:
    """Logits of every position, float32 (positions, vocab), of the model in float32."""
    from sw_ref.float32 import Float32

    with progress("float32") as report:
        (logits,) = Float32(source, lambda done: report(done, len(source.layers)))([ids])
    return logits

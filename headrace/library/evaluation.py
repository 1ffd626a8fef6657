"""Is it still the model? Best tokens beside an oracle's, and perplexity beside float32."""

import math

from host.progress import progress

from .runner import Runner


__all__ = ["agreement", "perplexities"]


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
    """Perplexity of the machine and of float32 on the same windows.

    `change_error` is the standard error of the relative change from one to the other: what another
    text of the same length may say.
    """
    from sw_ref.evaluation import float32_losses, machine_losses

    tokens = sum(len(w) - 1 for w in windows)
    with progress("perplexity") as report:
        machine = machine_losses(device, windows, lambda done: report(done, tokens))
    with progress("the same in float32") as report:
        reference = float32_losses(model, windows, lambda done: report(done, len(model.layers)))
    change = machine - reference
    return {
        "perplexity": math.exp(machine.mean()),
        "reference_perplexity": math.exp(reference.mean()),
        "change_error": float(change.std() / math.sqrt(tokens)),
        "tokens": tokens,
    }

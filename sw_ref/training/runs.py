"""The three kinds of run: dense, ternary, and pruned from dense."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import tokenizers
import torch

from . import card, files, loop, sparsity, text
from .errors import TrainingError
from .llama import Llama, Shape


__all__ = ["Corpus", "Settings", "dense", "sparse", "ternary"]


CALIBRATION = 64  # windows that saliency is measured with


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is asked for: where to write, what to start from, and how to train.

    `command` is what to type to do the same again, for the model card.
    """

    command: str
    output: Path
    budget: loop.Budget
    seed: int
    peak: float
    decay: float
    start: Path | None = None
    data: Path | None = None
    progress: object = lambda share, text: None


class Corpus:
    """The text as tokens: `ids` by "train" and "validation", and the tokenizer."""

    def __init__(self, settings, vocab):
        texts = dict(
            zip(("train", "validation"), text.split(text.addresses(text.fetch(settings.data))))
        )
        known = settings.start / "tokenizer.json" if settings.start else None
        self.tokenizer = (
            tokenizers.Tokenizer.from_file(str(known))
            if known
            else text.train_tokenizer(texts["train"], vocab)
        )
        self.ids = {name: text.encode(self.tokenizer, part) for name, part in texts.items()}
        self.bytes_per_token = text.bytes_per_token(texts["validation"], self.ids["validation"])


def prepare(settings, shape):
    """The model to train, new or as --start left it, and the text."""
    corpus = Corpus(settings, shape.vocab)
    torch.manual_seed(settings.seed)
    model = Llama(shape)
    if settings.start:
        path = settings.start / "checkpoint.pt"
        try:
            model.load_state_dict(torch.load(path, weights_only=True))
        except (OSError, RuntimeError) as error:
            raise TrainingError(
                f"{path}: must be the checkpoint of a run of this shape: "
                f"{str(error).splitlines()[0]}"
            ) from None
    return model, corpus


def run(kind, settings, model, corpus):
    """Train `model` and write its folder, now and then and at the end."""
    curve, earlier = [], files.history(settings.start) if settings.start else None

    def save():
        settings.output.mkdir(parents=True, exist_ok=True)
        state = {n: t for n, t in model.state_dict().items() if not n.endswith(".mask")}
        torch.save(state, settings.output / "checkpoint.pt")
        corpus.tokenizer.save(str(settings.output / "tokenizer.json"))
        if model.form is not None:
            files.write(settings.output, model, corpus.tokenizer)

    seconds = loop.train(
        model,
        corpus.ids,
        settings.budget,
        peak=settings.peak,
        decay=settings.decay,
        seed=settings.seed,
        curve=curve,
        progress=settings.progress,
        checkpoint=save,
    )
    nats = loop.evaluate(model.eval(), corpus.ids["validation"], model.shape.context)
    about = {
        "model": settings.output.name,
        "kind": kind,
        "commands": [settings.command],
        "steps": curve[-1][0],
        "tokens": curve[-1][1],
        "minutes": round(seconds / 60, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "text": text.PACKAGE,
        "text_sha256": text.SHA256,
        "validation_nats_per_token": round(nats, 4),
        "validation_bits_per_byte": round(nats / corpus.bytes_per_token / math.log(2), 4),
        "columns": ["step", "tokens", "train", "validation"],
        "curve": curve,
    }
    if earlier is not None:
        about = after(earlier, about)
    (settings.output / "training.json").write_text(json.dumps(about) + "\n", "utf-8")
    if model.form is not None:
        card.write(settings.output, model, corpus.tokenizer, about)
    return about


def after(earlier, about):
    """What `training.json` says of a run that went on from an earlier one."""
    steps, tokens = earlier["steps"], earlier["tokens"]
    curve = [[step + steps, seen + tokens, *losses] for step, seen, *losses in about["curve"]]
    return {
        **about,
        "commands": earlier["commands"] + about["commands"],
        "steps": about["steps"] + steps,
        "tokens": about["tokens"] + tokens,
        "minutes": round(about["minutes"] + earlier["minutes"], 1),
        "curve": earlier["curve"] + curve,
    }


def dense(settings, shape=Shape()):
    """Float weights, to prune later."""
    return run("dense", settings, *prepare(settings, shape))


def ternary(settings, shape=Shape()):
    """Weights -1, 0, 1 times a scale a row, from the start or from dense weights."""
    model, corpus = prepare(settings, shape)
    model.round_to("ternary")
    return run("ternary", settings, model, corpus)


def sparse(settings, form, shape=Shape()):
    """Dense weights pruned once, then trained with the mask fixed: 2:4 in "sparse8", mixed in
    "sparse4".
    """
    if settings.start is None:
        raise TrainingError("sparse: --start must name the folder of a dense run")
    model, corpus = prepare(settings, shape)
    seen = loop.Windows(corpus.ids["train"], settings.seed).next(
        CALIBRATION, settings.budget.window
    )
    choose = sparsity.two_of_four if form == "sparse8" else sparsity.mixed_mask
    for name, rms in sparsity.input_rms(model, seen).items():
        linear = model.linears[name]
        linear.mask = choose(linear.weight.detach().abs() * rms).float()
    model.round_to(form)
    return run(form, settings, model, corpus)

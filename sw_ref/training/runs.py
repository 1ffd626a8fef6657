"""The kinds of run: dense, ternary, pruned from dense, and in a tensor type of GGUF."""

import hashlib
import json
import math
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tokenizers
import torch

from . import block_bytes, blocks, card, files, loop, sparsity, text
from .errors import TrainingError
from .llama import Llama, Shape


__all__ = ["Corpus", "Settings", "dense", "gguf", "sparse", "ternary"]


CALIBRATION = 64  # windows that saliency is measured with


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is asked for: what to train, where to write, what to start from, and how to train.

    `command` is what to type to do the same again, for the model card.
    """

    command: str
    output: Path
    shape: Shape
    budget: loop.Budget
    seed: int
    peak: float
    decay: float
    start: Path | None = None
    data: Path | None = None
    progress: object = lambda share, text: None

    def __post_init__(self):
        if self.budget.window > self.shape.context:
            raise TrainingError(
                f"--window: must be at most the context, {self.shape.context}, "
                f"not {self.budget.window}"
            )
        if self.budget.tokens < self.shape.context:
            raise TrainingError(
                f"--batch: must be at least the context, {self.shape.context}, which the windows "
                f"of the last tenth have, not {self.budget.tokens}"
            )


@contextmanager
def _usable(path, what):
    """Say of a file that it must be something else, whatever a library says of it."""
    try:
        yield
    except Exception as error:  # tokenizers raises nothing narrower, and torch a dozen
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{path}: must be {what}: {said}") from None


class Start:
    """What the run left that --start names: `history`, `tokenizer`, and the model's `state`."""

    def __init__(self, folder):
        self.history = files.history(folder)
        path = folder / "tokenizer.json"
        with _usable(path, "the tokenizer of a run"):
            self.tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._path = folder / "checkpoint.pt"
        with self._usable_checkpoint():
            self.state = torch.load(self._path, weights_only=True)

    def _usable_checkpoint(self):
        return _usable(self._path, "the checkpoint of a run of this shape")

    def into(self, model):
        """Give a model the weights."""
        with self._usable_checkpoint():
            model.load_state_dict(self.state)


class Corpus:
    """The text as tokens: `ids` by "train" and "validation", and the tokenizer.

    `plain`: no space is put before a text, since GGUF's tables cannot say that.
    """

    def __init__(self, settings, tokenizer=None, plain=False):
        texts = dict(
            zip(("train", "validation"), text.split(text.addresses(text.fetch(settings.data))))
        )
        self.tokenizer = tokenizer or text.train_tokenizer(texts["train"], settings.shape.vocab)
        if plain:
            self.tokenizer.normalizer = None
        self.ids = {name: text.encode(self.tokenizer, part) for name, part in texts.items()}
        self.bytes_per_token = text.bytes_per_token(texts["validation"], self.ids["validation"])


def prepare(settings, plain=False):
    """The model to train, new or as --start left it; the text; and what --start names, or None."""
    start = Start(settings.start) if settings.start else None  # refused before the text is fetched
    torch.manual_seed(settings.seed)
    model = Llama(settings.shape)
    if start is not None:
        start.into(model)
    return model, Corpus(settings, start and start.tokenizer, plain), start


def run(kind, settings, model, corpus, start):
    """Train `model` and write its folder, now and then and at the end."""
    curve = []

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
    if start is not None:
        about = after(start.history, about)
    if model.form in blocks.TYPES:
        written = (settings.output / files.GGUF).read_bytes()
        about |= {"bytes": len(written), "sha256": hashlib.sha256(written).hexdigest()}
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


def dense(settings):
    """Float weights, to prune later."""
    return run("dense", settings, *prepare(settings))


def ternary(settings):
    """Weights -1, 0, 1 times a scale a row, from the start or from dense weights."""
    model, corpus, start = prepare(settings)
    model.round_to("ternary")
    return run("ternary", settings, model, corpus, start)


def sparse(settings, form):
    """Dense weights pruned once, then trained with the mask fixed: 2:4 in "sparse8", mixed in
    "sparse4".
    """
    if settings.start is None:
        raise TrainingError("sparse: --start must name the folder of a dense run")
    model, corpus, start = prepare(settings)
    seen = loop.Windows(corpus.ids["train"], settings.seed).next(
        CALIBRATION, settings.budget.window
    )
    choose = sparsity.two_of_four if form == "sparse8" else sparsity.mixed_mask
    for name, rms in sparsity.input_rms(model, seen).items():
        linear = model.linears[name]
        linear.mask = choose(linear.weight.detach().abs() * rms).float()
    model.round_to(form)
    return run(form, settings, model, corpus, start)


def gguf(settings, form):
    """Weights in a tensor type of GGUF, from the start or from a run of the same shape."""
    try:
        import gguf  # noqa: F401 - here, and not when the training ends
    except ImportError:
        raise TrainingError(
            "gguf: the library must be installed to write GGUF files; run "
            "`make install FOR=quantize`, or pip install 'headrace[quantize]'"
        ) from None
    shape, (block, _) = settings.shape, block_bytes.SIZES[form]
    for depth in shape.hidden, shape.heads * shape.head_dim, shape.ffn:
        if depth % block:
            raise TrainingError(
                f"--shape: rows must be multiples of {block} in {form}, not {depth}; take blocks"
            )
    model, corpus, start = prepare(settings, plain=True)
    model.round_to(form)
    return run(form, settings, model, corpus, start)

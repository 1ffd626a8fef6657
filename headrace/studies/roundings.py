"""Which rounding costs what of a model's perplexity: ``python -m headrace.studies.roundings TEXT``.

The model runs in float32 with one of the machine's roundings at a time: scales as integers,
activations of products as int8 with a power of two for each 32, keys and values as int8 with a
power of two for each head. What is left between all three together and ``headrace eval`` is the
machine's own arithmetic, of attention and of vector operations. Takes a minute where the machine
takes ten.
"""

import argparse
import math
import sys
from dataclasses import dataclass

import numpy as np

from host.errors import UserError, run_command
from host.language.text import read_text
from host.language.tokenizer import Tokenizer
from host.progress import steps
from mapper.plan import centre_shift
from mapper.quantize import integer_groups
from mapper.read.find import load
from rtl.spec.formats import FORMATS
from sw_ref.evaluation import losses, windows
from sw_ref.float32 import Float32, Tensors
from sw_ref.numerics import dequantize, quantize

from .document import table


__all__ = ["ROUNDINGS", "Rounding", "compared", "rounded_losses"]


WINDOW = 512  # tokens that perplexity is measured in


@dataclass(frozen=True)
class Rounding:
    """What is rounded as the machine does it; the rest is float32."""

    scales: bool = False
    activations: bool = False
    kv: bool = False


ROUNDINGS = {
    "float32": Rounding(),
    "integer scales": Rounding(scales=True),
    "activations": Rounding(activations=True),
    "keys and values": Rounding(kv=True),
    "all three": Rounding(scales=True, activations=True, kv=True),
}


class Scaled(Tensors):
    """Matrices with the machine's integer scales."""

    def __init__(self, find):
        super().__init__(lambda name: self.scaled(find(name)))
        self._known = {}

    def scaled(self, linear):
        """The weights of a matrix, float32; gains as they are."""
        if isinstance(linear, np.ndarray):
            return linear
        if linear not in self._known:
            q = integer_groups(linear, centre_shift(linear))
            weights = FORMATS[q.format].integers(q.codes, q.scale, q.centre, q.centre_shift)
            self._known[linear] = weights.astype(np.float32) * q.row_scale[:, None]
        return self._known[linear]

    def matrix(self, name):
        return self.find(name)


class Rounded(Float32):
    """Float32 with a :class:`Rounding`; without the logits behind the last token."""

    def __init__(self, model, rounding):
        super().__init__(model)
        self.rounding = rounding

    def tensors(self, layer):
        found = super().tensors(layer)
        if self.rounding.scales:
            found = self._held[-1] = Scaled(found.find)
        return found

    def linear(self, node, tensors, x):
        return super().linear(node, tensors, self.activations(x))

    def head(self, node, tensors, x):
        return super().head(node, tensors, self.activations(x[:-1]))

    def activations(self, x):
        """What a product takes of x."""
        return int8(x) if self.rounding.activations else x

    def attend(self, node, tensors, q, k, v):
        if self.rounding.kv:
            k, v = int8(k, node.head_dim), int8(v, node.head_dim)
        return super().attend(node, tensors, q, k, v)


def int8(x, *group):
    """Values as the int8 that stand for them, each group with a power of two."""
    return dequantize(*quantize(x, *group)).astype(np.float32)


def rounded_losses(model, texts, rounding):
    """Losses, in nats, of texts, lists of ids."""
    logits = Rounded(model, rounding)(texts)
    return np.concatenate([losses(found, ids[1:]) for found, ids in zip(logits, texts)])


def compared(model, texts, step=lambda name: None):
    """Yield each of :data:`ROUNDINGS` with its perplexity, how far that is from float32's, and the
    standard error of this; both relative."""
    reference = None
    for name, rounding in ROUNDINGS.items():
        step(name)
        found = rounded_losses(model, texts, rounding)
        reference = found if reference is None else reference
        change = found - reference
        error = change.std() / math.sqrt(len(change))
        yield name, math.exp(found.mean()), math.expm1(change.mean()), error


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.roundings", description=__doc__
    )
    parser.add_argument("text", metavar="TEXT", help="UTF-8 text to measure perplexity on")
    parser.add_argument("--model", default="smollm2", metavar="MODEL", help="default: smollm2")
    parser.add_argument(
        "--tokens", type=int, default=8192, metavar="N", help="tokens of it (default: 8192)"
    )
    args = parser.parse_args(argv)
    if args.tokens < 2:
        raise UserError(f"--tokens must be at least 2, not {args.tokens}")
    text, model = read_text(args.text), load(args.model)
    ids = Tokenizer.from_json(model.tokenizer, bos=model.bos).encode(text)[: args.tokens]
    with steps("measuring") as step:
        found = list(compared(model, windows(ids, WINDOW), step))
    rows = [
        (name, f"{perplexity:.3f}", f"{100 * change:+.2f} %", f"{100 * error:.2f} %")
        for name, perplexity, change, error in found
    ]
    print(*table(["Rounded", "Perplexity", "Change", "Standard error"], rows), sep="\n")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("roundings", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())

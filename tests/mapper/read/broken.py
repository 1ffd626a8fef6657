"""What every test of broken files does: read, compare, compile, and sort what was refused."""

import resource
from contextlib import contextmanager
from pathlib import Path

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import get


CONFIG, GIBI = get("small"), 1 << 30


def matrices(model):
    """Every matrix, read."""
    return [
        model.embedding,
        model.head,
        *(x for layer in model.layers for x in layer.linears.values()),
    ]


@contextmanager
def little_memory():
    """Give the process no more than another GiB: a count in a file must not allocate."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + GIBI, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def taken(path, compare):
    """Read a model, `compare` it, and compile it. Returns whether it was not refused instead."""
    try:
        model = load(path)
        compare(path, model)
        Tokenizer.from_json(model.tokenizer)
        image = compile_model(model, CONFIG, 1)
        assert len(image.dram())
        return True
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 400 + len(str(path))
        return False


def run(cases, compare, write):
    """Names of the cases (name, content) that were refused, and of those that were taken."""
    names = {False: [], True: []}
    with little_memory():
        for n, (name, content) in enumerate(cases):
            try:
                names[taken(write(n, content), compare)].append(name)
            except Exception as error:
                raise AssertionError(f"{name}: {error!r}") from error
    return names[False], names[True]

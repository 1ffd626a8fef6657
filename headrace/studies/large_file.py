"""Time and memory to compile a file of 5 GB: ``python -m headrace.studies.large_file``.

A GGUF of random weights is written, of Llama 3.1 8B's shape with three layers more, Q4_K with the
head in Q6_K, and compiled to an image for a machine that is large enough; both are deleted. It is
compiled in a process of its own. Measured are the seconds on the clock and of the CPUs, and the
most memory that is no file's: a thread looks at ``RssAnon`` of `/proc/self/status` all the time.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, process_time
from types import TracebackType

from host.errors import run_command
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import get

from .random_weights import Q4_K, Q6_K, Shape, write


__all__ = ["CONFIG", "Memory", "compiled", "shape_of"]


CONFIG = replace(
    get("wide"),
    name="large",
    head_dim=128,
    vector_words=1 << 18,
    act_groups=512,
    formats=("U4", "S6", "S8"),
)


def shape_of(layers=35, divisor=1):
    """The shape of so many layers of Llama 3.1 8B, whose sizes are divided."""
    return Shape(
        layers=layers,
        hidden=4096 // divisor,
        ffn=14336 // divisor,
        heads=32 // divisor,
        kv_heads=8 // divisor,
        head_dim=128,
        vocab=128256 // divisor,
        matrix=Q4_K,
        head=Q6_K,
    )


class Memory:
    """The most memory of the process that is no file's while the context lasts, in bytes.

    Attributes
    ----------
    most : :class:`int`
    """

    def __init__(self, period=0.02, read: Callable[[], int] | None = None):
        self.period, self.read = period, read or self.anonymous
        self.most, self._done, self._thread = 0, Event(), Thread(target=self._watch, daemon=True)

    @staticmethod
    def anonymous():
        """Bytes of the process now."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    def _watch(self):
        self.most = max(self.most, self.read())
        while not self._done.wait(self.period):
            self.most = max(self.most, self.read())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ):
        self._done.set()
        self._thread.join()


def compiled(path, output, config=CONFIG):
    """Compile a file, and print what that takes."""
    start, before = monotonic(), process_time()
    with Memory() as memory:
        model = load(path)
        compile_model(model, config, 2048).save(output)
    size, image = (Path(p).stat().st_size / 1e9 for p in (path, output))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{size:.2f} GB to {image:.2f} GB: {monotonic() - start:.0f} s, "
        f"{process_time() - before:.0f} s of CPUs, {memory.most / 1e6:.0f} MB beyond mapped files "
        f"({peak:.1f} GB with them)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=35)
    parser.add_argument("--divisor", type=int, default=1, help="of all sizes: 1, 2 or 4")
    parser.add_argument("--folder", help="where the files go; else the system's temporary folder")
    parser.add_argument("--compile", metavar="FILE", help="compile this file, and write none")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        if args.compile:
            compiled(args.compile, f"{folder}/model.safetensors")
            return
        path = f"{folder}/model.gguf"
        write(path, shape_of(args.layers, args.divisor))
        command = [sys.executable, "-m", "headrace.studies.large_file", "--folder", folder]
        subprocess.run([*command, "--compile", path], check=True)


if __name__ == "__main__":
    sys.exit(run_command("large_file", main))

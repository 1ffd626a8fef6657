import json
import os
from dataclasses import fields, replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from host.errors import UserError
from host.image.image import Image
from rtl.spec.config import get

from ..images import small_image


IMAGE = small_image()


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "image.safetensors"
    IMAGE.save(path)
    again = Image.load(path)
    assert again.verified and not IMAGE.verified and not replace(again, program=1).verified
    assert not again.memory.flags.writeable
    for f in fields(Image):
        if f.name == "verified":
            continue
        assert np.array_equal(getattr(again, f.name), getattr(IMAGE, f.name)), f.name
    assert list(path.parent.iterdir()) == [path]
    (other := tmp_path / "other").touch()
    assert path.stat().st_mode == other.stat().st_mode  # safetensors would have made it 0600


def test_same_image_same_bytes(tmp_path):
    """Whatever order safetensors writes the metadata in, and with what characters."""
    image, files = replace(IMAGE, model=IMAGE.model | {"name": "é \u2028 \x01 \"\\"}), set()
    for n in range(16):
        image.save(tmp_path / f"{n}.safetensors")
        files.add((tmp_path / f"{n}.safetensors").read_bytes())
    assert len(files) == 1 and Image.load(tmp_path / "0.safetensors").model == image.model


def test_instructions_and_dram():
    assert IMAGE.instructions == [
        int.from_bytes(range(64, 96), "little"),
        int.from_bytes(range(96, 128), "little"),
    ]
    dram = IMAGE.dram()
    assert len(dram) == 69 * 64 and (dram[:256] == IMAGE.memory).all() and not dram[256:].any()


def test_more_memory_than_there_is():
    with pytest.raises(UserError, match=r"^the image needs 16777216\.0 GiB .* smaller --context$"):
        replace(IMAGE, memory_units=1 << 48).dram()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({}, None),
        ({"core": "lut"}, None),
        (
            {"formats": ("U4", "S8", "SPARSE8")},
            "the image has weights in the format SPARSE4, but configuration 'small' "
            "takes U4, S8, SPARSE8",
        ),
        (
            {"patterns": ("2:16", "8:16")},
            "the image has sparse weights of the pattern 2:4, but configuration 'small' "
            "takes 2:16, 8:16",
        ),
    ],
)
def test_lacks(changes, message):
    config = replace(get("small"), **{"formats": (), **changes})
    assert IMAGE.lacks(config) == message and config.digest == get("small").digest


def test_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "image.safetensors"
    IMAGE.save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(IMAGE, report={1j: object()}).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def written(path, about, memory=IMAGE.memory):
    save_file({"memory": memory}, path, about and {"headrace": json.dumps(about)})


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda p: None, "cannot be read: "),
        (lambda p: p.write_bytes(b""), "expected a program image"),
        (lambda p: p.write_bytes(b"\xff" * 100), "expected a program image"),
        (lambda p: written(p, None), "expected a program image"),
        *(
            (
                lambda p, n=n: written(p, {"format": n, "speed": 3}),
                f"expected image format 6, found {n}. Compile the model again",
            )
            for n in (1, 2, 3, 4, 5, 99)
        ),
        (lambda p: written(p, {"speed": 3}), "image metadata is not of format 6: "),
        (lambda p: written(p, {"format": 6}), "the file is damaged: it has no seal. "),
        (lambda p: p.mkdir(), "must be a file, not a folder"),
        (lambda p: os.mkfifo(p), "must be a file, not a folder"),
        (lambda p: p.symlink_to(p), "cannot be read: "),
        (lambda p: (IMAGE.save(p), p.write_bytes(p.read_bytes()[:-1])), "expected a program image"),
    ],
)
def test_refused(tmp_path, write, message):
    path = tmp_path / "a.safetensors"
    write(path)
    with pytest.raises(UserError) as info:
        Image.load(path)
    assert str(info.value).startswith(f"{path}: {message}") and "\n" not in str(info.value)

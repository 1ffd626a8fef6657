"""Machine code is kept where it can be, and done without where it cannot."""

import builtins
import errno

import numba
import pytest

from sw_ref.jit_cache import keep


def increment(x):
    return x + 1


def kept(folder):
    return keep(numba.njit(increment), folder)


def test_taken_from_the_folder(tmp_path):
    first, second = kept(tmp_path), kept(tmp_path)
    assert first(1) == 2 and not first.stats.cache_hits
    assert second(1) == 2 and sum(second.stats.cache_hits.values()) == 1
    assert len(list(tmp_path.rglob("*.nbc"))) == 1


def test_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "kernels").write_text("")
    assert kept(tmp_path / "kernels" / "digest")(1) == 2


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_folder_that_cannot_be_written(tmp_path, monkeypatch, error):
    """What is there is used; what is not there is compiled, and forgotten."""
    opened = builtins.open

    def refuse(path, mode="r", *args, **kwargs):
        if "w" in mode:
            raise OSError(error, "refused", str(path))
        return opened(path, mode, *args, **kwargs)

    kept(tmp_path)(1)
    monkeypatch.setattr(builtins, "open", refuse)
    function = kept(tmp_path)
    assert function(1) == 2 and sum(function.stats.cache_hits.values()) == 1
    assert function(1.5) == 2.5
    assert len(list(tmp_path.rglob("*.nbc"))) == 1

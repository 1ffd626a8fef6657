import numpy as np
import pytest

from host.errors import UserError
from host.language.sampling import Sampler, Sampling


IDS = list(range(100, 164))
LOGITS = [8.0 - 0.1 * n for n in range(64)]


def counts(n=4000, ids=IDS, logits=LOGITS, **kwargs):
    sampler = Sampler(Sampling(seed=1, **kwargs))
    chosen = [sampler.choose(ids, logits) for _ in range(n)]
    return np.bincount(chosen, minlength=164)[100:]


def test_greedy():
    assert Sampler().choose(IDS, LOGITS) == 100
    assert counts(temperature=0.0)[0] == 4000


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_frequencies_are_the_softmax(temperature):
    weight = np.exp(np.array(LOGITS) / temperature)
    expected = 20000 * weight / weight.sum()
    seen = counts(20000, temperature=temperature)
    assert (np.abs(seen - expected) < 5 * np.sqrt(expected) + 5).all()


def test_top_k():
    assert np.flatnonzero(counts(temperature=5.0, top_k=3)).tolist() == [0, 1, 2]
    assert np.flatnonzero(counts(temperature=5.0, top_k=1)).tolist() == [0]


@pytest.mark.parametrize(
    "top_p, kept", [(0.4, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (1.0, 4)]
)
def test_top_p(top_p, kept):
    logits = np.log([0.5, 0.25, 0.125, 0.125])
    seen = counts(ids=IDS[:4], logits=logits, temperature=1.0, top_p=top_p)
    assert np.flatnonzero(seen).tolist() == list(range(kept))


def test_seed():
    def draw(seed):
        sampler = Sampler(Sampling(temperature=2.0, seed=seed))
        return [sampler.choose(IDS, LOGITS) for _ in range(20)]

    assert draw(3) == draw(3) != draw(4)
    assert draw(None) != draw(None)


def test_extreme_logits():
    assert counts(temperature=1e-300)[0] == 4000
    assert counts(logits=[1e38, *[-1e38] * 63], temperature=1.0)[0] == 4000
    assert counts(logits=[0.0] * 64, temperature=1e30).min() > 20


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(temperature=-1.0), "temperature must be 0 or more, not -1.0"),
        (dict(temperature=float("nan")), "temperature must be 0 or more, not nan"),
        (dict(top_k=0), "top-k must be from 1 to 64, the logits that a device returns, not 0"),
        (dict(top_k=65), "top-k must be from 1 to 64, the logits that a device returns, not 65"),
        (dict(top_p=0.0), "top-p must be above 0 and at most 1, not 0.0"),
        (dict(top_p=1.5), "top-p must be above 0 and at most 1, not 1.5"),
        (dict(seed=-1), "seed must be 0 or more, not -1"),
    ],
)
def test_refused(kwargs, message):
    with pytest.raises(UserError) as info:
        Sampling(**kwargs)
    assert str(info.value) == message

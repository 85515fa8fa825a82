"""Rounds of training after each of which the classifier begins anew."""

import math

import numpy as np
import pytest

from autodiff.optim import Adam
from hstn_ref.data import ArrayDataset, DataSplits
from hstn_ref.errors import ConfigError
from hstn_ref.models import CNN, AffineSTN
from hstn_ref.stopping import Interrupted
from hstn_ref.training import fit

from .toy import bits, everything, stopping_after, watch

STEPS = 3  # in an epoch: 20 images, 8 a step
OPTIONS = {"batch_size": 8, "lr": 1e-2, "restarts": 2, "restart_lr": 1e-3, "quiet": True}  # every 2 epochs
SMALL = {"image_size": (12, 12), "padding": "same", "dropout": 0.2}


def data():
    rng = np.random.default_rng(3)
    splits = (
        ArrayDataset(rng.integers(0, 255, (n, 12, 12), dtype=np.uint8), rng.integers(0, 10, n)) for n in (20, 6, 6)
    )
    return DataSplits(*splits, {})


@pytest.fixture
def steps(monkeypatch):
    """(t, lr, multipliers) of every step of Adam."""
    seen, step = [], Adam.step
    monkeypatch.setattr(Adam, "step", lambda self: (seen.append((self.t, self.lr, list(self.multipliers))), step(self)))
    return seen


def test_in_a_round_all_have_one_rate_and_afterwards_the_schedule_begins(steps):
    fit(AffineSTN(**SMALL), data(), epochs=6, schedule="cosine", lr_multipliers={"localisation": 0.1}, **OPTIONS)
    cosine = [1e-2 * math.cos(math.pi * k / (4 * STEPS)) ** 2 for k in range(2 * STEPS)]
    assert [lr for _, lr, _ in steps] == pytest.approx([1e-3] * 4 * STEPS + cosine)
    paces = [sorted(set(multipliers)) for _, _, multipliers in steps]
    assert paces == [[1.0]] * 4 * STEPS + [[0.1, 1.0]] * 2 * STEPS
    assert [t for t, _, _ in steps] == [*range(2 * STEPS)] * 3, "a new classifier begins with a new optimiser"


def test_the_classifier_begins_anew_and_the_localisation_network_goes_on():
    def weights(seed):
        """Before every batch of the training."""
        model, seen = AffineSTN(**SMALL, rng=0), []
        watched, _ = watch(data(), "train", lambda number: seen.append(bits(model)))
        fit(model, watched, epochs=5, seed=seed, lr_multipliers={"localisation.0": 0.0}, **OPTIONS)
        return seen

    seen, first = weights(0), [0, 2 * STEPS, 4 * STEPS]
    classifier = [name for name in seen[0] if name.startswith("classifier.") and name.endswith("weight")]
    for name in classifier:
        beginnings = [seen[t][name] for t in first]
        assert len(set(beginnings)) == 3, "each has weights of its own"
        for x in beginnings[1:]:  # of the same uniform distribution, and not trained
            np.testing.assert_allclose(*(np.frombuffer(a, "f4").std() for a in (x, beginnings[0])), rtol=0.2)
    for name in seen[0].keys() - set(classifier):
        if name.startswith("localisation.0."):
            assert len({now[name] for now in seen}) == 1, "what is frozen stays so"
        elif name.startswith("localisation."):
            assert seen[0][name] != seen[2 * STEPS][name] != seen[4 * STEPS][name], "is not put back"
    assert [seen[t] for t in first] == [weights(0)[t] for t in first]
    other = weights(1)
    assert other[0] == seen[0] == bits(AffineSTN(**SMALL, rng=0)), "the first classifier is the network's own"
    assert all(seen[t][classifier[0]] != other[t][classifier[0]] for t in first[1:])


@pytest.mark.parametrize(("split", "number"), [("train", 2), ("train", 6), ("valid", 2), ("train", 7), ("train", 16)])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, split, number):
    options = {**OPTIONS, "epochs": 6, "lr_multipliers": {"localisation": 0.1}}
    fit(AffineSTN(**SMALL), data(), **options, folder=tmp_path / "straight")
    watched, _ = watch(data(), split, stopping_after(number))
    with pytest.raises(Interrupted):
        fit(AffineSTN(**SMALL), watched, **options, folder=tmp_path / "broken")
    fit(AffineSTN(**SMALL, rng=9), data(), **options, folder=tmp_path / "broken", resume=True)
    assert everything(tmp_path / "broken") == everything(tmp_path / "straight")


def test_a_plateau_begins_after_the_rounds():
    """Of a network that does not change epoch 5 is the best, and no epoch before it counts."""
    options = {**OPTIONS, "lr": 1e-30, "restart_lr": 1e-35}
    found = fit(AffineSTN(**SMALL), data(), epochs=50, patience=2, reductions=1, **options)
    assert [epoch.lr for epoch in found.history] == pytest.approx([1e-35] * 4 + [1e-30] * 3, rel=1e-12, abs=0)


def test_without_anything_else_there_is_nothing_to_go_on_with():
    with pytest.raises(ConfigError, match="restarts is 2, expected 0 for CNN: it has nothing but a classifier"):
        fit(CNN(**SMALL), data(), epochs=6, **OPTIONS)

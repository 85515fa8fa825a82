"""Rounds of training after each of which the classifier begins anew, and what moves the image stays.

A classifier that learns faster than the localisation network knows digits at any place before any has been moved, and
from then on nothing pulls them to the middle. So in a round everything learns at one slow pace; at its end the
localisation network has moved digits somewhat together and magnified them somewhat, because that was easier for a
classifier that knew nothing. A new classifier, which knows nothing either, goes on from there.

The paper does this once, when HSTN takes over the localisation network of a trained Affine-STN and begins with
everything else afresh (section 4.1 (6)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autodiff.optim import Adam
from hstn_ref.config import TrainingConfig
from hstn_ref.errors import ConfigError

if TYPE_CHECKING:
    from hstn_ref.models import Network

PART = "classifier"


class Restarts:
    """The first `config.restarts` rounds of a training.

    In each, the learning rate is restart_lr for all parameters, but for those that are frozen. Nothing is remembered:
    what happens before step t follows from t and the seed.
    """

    def __init__(self, model: Network, optimiser: Adam, config: TrainingConfig, steps: int):
        names = {name.partition(".")[0] for name, _ in model.named_parameters()}
        if config.restarts and (PART not in names or len(names) == 1):
            raise ConfigError(
                f"training.restarts is {config.restarts}, expected 0 for {type(model).__name__}: "
                + (f"it has nothing but a {PART}" if PART in names else f"it has no {PART}")
            )
        self.model, self.optimiser, self.config = model, optimiser, config
        self.multipliers = optimiser.multipliers
        self.even = [float(a > 0) for a in self.multipliers]
        self.round = config.restart_epochs * steps
        self.epochs = config.restarts * config.restart_epochs
        self.steps = config.restarts * self.round

    def begin(self, t: int) -> None:
        """To be called before step t, counted from 0."""
        number, step = divmod(t, self.round)
        if step == 0 and 0 < number <= self.config.restarts:
            self._begin_anew(number)
        if t < self.steps:
            self.optimiser.lr, self.optimiser.multipliers = self.config.restart_lr, self.even
        else:
            self.optimiser.multipliers = self.multipliers

    def _begin_anew(self, number: int) -> None:
        """Other first weights for the classifier, and an optimiser that has no past."""
        rng = np.random.default_rng([self.config.seed, number])
        made: Any = type(self.model)
        new = made(dtype=self.model.dtype, rng=rng, **self.model.options).state()
        self.model.load_state({**self.model.state(), **{k: x for k, x in new.items() if k.split(".")[0] == PART}})
        self.optimiser.reset()
        self.optimiser.lr = self.config.lr

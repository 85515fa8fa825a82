"""Load data, build a network, fit, look, save.

Run: python examples/01_train_hstn.py    a minute or two; writes runs/examples/01_train_hstn/
"""

import hstn_ref

data = hstn_ref.data.open_data("embedded")  # real digits among fresh clutter in every epoch
model = hstn_ref.models.HSTN("tiny", rng=0)
hstn_ref.fit(model, data, epochs=1, lr=1e-3, lr_multipliers={"localisation": 0.1}, folder="runs/examples/01_train_hstn")
print(hstn_ref.evaluate(model, data.test))  # one epoch is a glimpse, not a training

import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autodiff import no_grad, ops
from hstn_ref import checkpoint, metrics
from hstn_ref.errors import ConfigError, DataError, FileError
from hstn_ref.history import Epoch, best, read_history
from hstn_ref.models import MODELS, Outputs
from hstn_ref.trainer import multipliers
from hstn_ref.training import Diverged, evaluate, fit

from .toy import SHORT, Toy, bits, everything, toy_data, watch, without_times

# Learning


def test_training_learns():
    model = Toy()
    result = fit(model, toy_data(300, 60), epochs=12, batch_size=16, lr=1e-2, quiet=True)
    assert result.history[-1].train_loss < 0.5 * result.history[0].train_loss
    assert evaluate(model, toy_data().test).accuracy > 0.7


def test_the_history_is_of_the_right_things():
    model, data = Toy(), toy_data()
    result = fit(model, data, **SHORT)
    valid = evaluate(model, data.valid)
    last = result.history[-1]
    assert [epoch.epoch for epoch in result.history] == [1, 2, 3]
    assert (last.valid_accuracy, last.valid_cross_entropy) == (valid.accuracy, pytest.approx(valid.cross_entropy))
    assert last.valid_loss == pytest.approx(valid.loss)
    assert last.lr == 1e-2
    assert last.seconds > 0 and last.images_per_second > 0
    assert result.best.valid_accuracy == max(epoch.valid_accuracy for epoch in result.history)


def test_an_epoch_adds_up_losses_and_correct_answers():
    """With a learning rate too small to change a float32, every epoch sums up the untrained network."""
    data = toy_data()
    model = Toy()
    model.features.layers[-1].rate = 0.0
    history = fit(model, data, **{**SHORT, "lr": 1e-60}).history
    expected = evaluate(model, data.train)
    assert [epoch.train_loss for epoch in history] == pytest.approx([expected.loss] * 3, rel=1e-5)
    assert [epoch.train_accuracy for epoch in history] == [expected.accuracy] * 3


def test_every_epoch_adds_up_anew():
    """A loss that grows by 1 a step is larger by 7, the steps of an epoch, in the next one."""

    class Growing(Toy):
        steps = 0

        def run(self, images):
            self.steps += self.training
            logits = super().run(images).result * 0.0
            return Outputs(logits, penalty=logits.sum() + float(self.steps))

    losses = [epoch.train_loss for epoch in fit(Growing(), toy_data(), **SHORT).history]
    assert np.diff(losses) == pytest.approx([7, 7])


def test_every_epoch_has_every_image_once_in_another_order():
    data, train = watch(toy_data(), "train")
    fit(Toy(), data, **SHORT)
    epochs = [[i for e, indices in train.asked if e == epoch for i in indices] for epoch in range(3)]
    assert [sorted(order) for order in epochs] == [list(range(50))] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    assert [len(indices) for _, indices in train.asked] == [8, 8, 8, 8, 8, 8, 2] * 3


def test_dropout_is_on_in_training_and_off_in_validation():
    modes = {"train": set(), "valid": set()}
    model, data = Toy().eval(), toy_data()
    for split, seen in modes.items():
        data, _ = watch(data, split, lambda number, seen=seen: seen.add(model.training))
    fit(model, data, **SHORT)
    assert modes == {"train": {True}, "valid": {False}}


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    def weights(seed):
        model = Toy()
        fit(model, toy_data(), **SHORT, seed=seed)
        return bits(model)

    assert weights(0) == weights(0)
    assert weights(0) != weights(1)


# The learning rate


def lrs(result):
    return [epoch.lr for epoch in result.history]


def test_a_plateau_divides_the_learning_rate_by_10_and_ends_training():
    """A network that does not change: epoch 1 is the best, two later the rate falls, two later the run ends."""
    found = fit(Toy(), toy_data(), **{**SHORT, "lr": 1e-30, "epochs": 50}, patience=2, reductions=2)
    assert lrs(found) == pytest.approx([1e-30] * 3 + [1e-31] * 2, rel=1e-12, abs=0)


def test_a_cosine_ends_at_0_whatever_the_loss():
    """7 steps an epoch; an epoch's learning rate is that of its last step."""
    options = {**SHORT, "lr": 1e-30, "epochs": 4, "schedule": "cosine"}
    expected = [1e-30 * math.cos(math.pi * t / 56) ** 2 for t in (6, 13, 20, 27)]
    assert lrs(fit(Toy(), toy_data(), **options, patience=1)) == pytest.approx(expected, rel=1e-12, abs=0)


def test_multipliers_go_by_the_longest_prefix_in_whole_words():
    names = ["a.b.weight", "a.bc.weight", "a.b.c.bias", "d.weight"]
    assert multipliers(names, {"a": 2.0, "a.b": 3.0, "a.b.c": 4.0}) == [3.0, 2.0, 4.0, 1.0]
    assert multipliers(names, {}) == [1.0] * 4


def test_a_multiplier_of_0_freezes():
    model = Toy()
    before = bits(model)
    fit(model, toy_data(), **SHORT, lr_multipliers={"features": 0.0})
    changed = {name for name, value in bits(model).items() if value != before[name]}
    assert changed == {"head.weight", "head.bias"}


# Files


def test_the_folder_has_checkpoint_best_and_history(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "toy", Toy)
    data = toy_data()
    result = fit(Toy(), data, **{**SHORT, "epochs": 8, "lr": 0.1}, folder=tmp_path / "deep" / "run")
    assert sorted(os.listdir(tmp_path / "deep" / "run")) == ["best.h5", "checkpoint.h5", "history.jsonl"]
    assert read_history(tmp_path / "deep" / "run" / "history.jsonl") == result.history
    found = checkpoint.load_model(tmp_path / "deep" / "run" / "best.h5")
    assert evaluate(found, data.valid).loss == pytest.approx(result.best.valid_loss)
    assert result.best.epoch < 8  # or this test could not tell the best from the last


def test_a_checkpoint_after_every_step_if_asked_for(tmp_path):
    steps = []

    def look(number):
        if (tmp_path / "checkpoint.h5").exists():
            steps.append(checkpoint.read(tmp_path / "checkpoint.h5").training.state["step"])

    data, _ = watch(toy_data(), "train", look)
    fit(Toy(), data, **{**SHORT, "epochs": 1}, checkpoint_minutes=0, folder=tmp_path)
    assert steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("line", ["{", "{}", '{"epoch": 1}', "\xff"])
def test_a_damaged_history_is_an_error(tmp_path, line):
    (tmp_path / "history.jsonl").write_text(line, encoding="latin-1")
    with pytest.raises(DataError, match="not a history of training"):
        read_history(tmp_path / "history.jsonl")


def test_a_missing_history_is_an_error(tmp_path):
    with pytest.raises(FileError, match="cannot read the history"):
        read_history(tmp_path / "history.jsonl")


def test_a_folder_that_cannot_be_written_is_found_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    data, train = watch(toy_data(), "train")
    with pytest.raises(FileError, match="cannot write"):
        fit(Toy(), data, **SHORT, folder=tmp_path / "file" / "run")
    assert train.asked == []


@pytest.mark.parametrize("options", [{"epochs": 2}, {"checkpoint_minutes": 0, "epochs": 1, "batch_size": 25}])
def test_a_disk_that_becomes_full_at_any_write_leaves_a_run_that_goes_on(tmp_path, monkeypatch, options):
    """What is on the disk between two writes is what `kill -9` leaves there too."""
    options, write, room, writes = {**SHORT, **options}, Path.write_bytes, math.inf, 0

    def until_full(path, content):
        nonlocal writes
        if writes == room:
            raise OSError(28, "No space left on device")
        writes += 1
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    straight = tmp_path / "straight"
    history = without_times(fit(Toy(), toy_data(), **options, folder=straight).history)
    assert writes >= 6
    for count in range(1, writes):
        folder, room, writes = tmp_path / f"after_{count}", count, 0
        with pytest.raises(FileError, match="No space left on device"):
            fit(Toy(), toy_data(), **options, folder=folder)
        assert not [name for name in os.listdir(folder) if name not in ("best.h5", "checkpoint.h5", "history.jsonl")]
        finished = everything(folder)[1]["history"] if (folder / "checkpoint.h5").exists() else []
        assert len(read_history(folder / "history.jsonl")) <= len(finished)  # it tells of no epoch that may be lost
        room = math.inf
        fit(Toy(), toy_data(), **options, folder=folder, resume=True)
        assert everything(folder) == everything(straight)
        assert (folder / "best.h5").read_bytes() == (straight / "best.h5").read_bytes()
        assert without_times(read_history(folder / "history.jsonl")) == history


# Numbers that are not finite


class Breaking(Toy):
    """Takes the logarithm of a negative number in its third training step; or its gradient is infinite then."""

    fault, steps = "log", 0

    def run(self, images):
        logits = super().run(images).result
        self.steps += self.training
        if self.steps >= 3 and self.fault == "log":
            logits = logits + ops.log(logits * 0.0 - 1.0)
        if self.steps >= 3 and self.fault == "gradient":
            logits = logits + ops.sqrt(logits * 0.0) * 0.0
        return Outputs(logits)


def test_a_loss_that_is_not_finite_names_step_and_op_and_keeps_the_checkpoint(tmp_path):
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            Diverged, match=r"^epoch 1, step 3: the loss is nan; .* a result of log; .*checkpoint\.h5 is from"
        ),
    ):
        fit(Breaking(), toy_data(), **SHORT, folder=tmp_path, checkpoint_minutes=0)
    found = checkpoint.read(tmp_path / "checkpoint.h5")
    assert found.training.state["step"] == 2
    assert all(np.isfinite(array).all() for array in found.weights.values())


@pytest.mark.parametrize(("minutes", "where"), [(0, "after step 3: parameter"), (9, "step 4: the loss is nan; .*")])
def test_a_gradient_that_is_not_finite_names_a_parameter_and_is_not_saved(tmp_path, minutes, where):
    class Infinite(Breaking):
        fault = "gradient"

    with np.errstate(all="ignore"), pytest.raises(Diverged, match=rf"epoch 1, {where}.* features\.1\.weight"):
        fit(Infinite(), toy_data(), **SHORT, folder=tmp_path, checkpoint_minutes=minutes)
    assert not (tmp_path / "checkpoint.h5").exists() or (
        checkpoint.read(tmp_path / "checkpoint.h5").training.state["step"] == 2
    )


def test_a_scalar_that_is_not_finite_is_found_as_well():
    class Overflowing(Toy):
        def outputs_and_loss(self, images, labels):
            outputs, loss = super().outputs_and_loss(images, labels)
            return outputs, loss + ops.log(loss * 0.0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Diverged, match=r"^epoch 1, step 1: the loss is -inf; the first .* is a result of log"):
            fit(Overflowing(), toy_data(), **SHORT)


def test_without_a_checkpoint_there_is_advice():
    with np.errstate(all="ignore"), pytest.raises(Diverged, match=r"; a lower learning rate may help$"):
        fit(Breaking(), toy_data(), **SHORT)


def test_a_validation_loss_that_is_not_finite():
    class BrokenInValidation(Toy):
        def run(self, images):
            logits = super().run(images).result
            return Outputs(logits if self.training else logits * math.inf)

    with np.errstate(all="ignore"), pytest.raises(Diverged, match="epoch 1: the validation loss is nan"):
        fit(BrokenInValidation(), toy_data(), **SHORT)


def test_training_under_no_grad_is_the_same():
    plain, under = Toy(), Toy()
    fit(plain, toy_data(), **SHORT)
    with no_grad():
        fit(under, toy_data(), **SHORT)
    assert bits(plain) == bits(under)


def test_the_modes_of_all_parts_are_left(tmp_path):
    model = Toy()
    model.eval()
    model.features.train()
    before = [module.training for module in model.modules()]
    assert len(set(before)) == 2
    evaluate(model, toy_data().test)
    fit(model, toy_data(), **SHORT, folder=tmp_path)
    assert [module.training for module in model.modules()] == before


class Empty:
    image_size = (6, 6)

    def __len__(self):
        return 0


@pytest.mark.parametrize("name", ["train", "valid", "test"])
def test_an_empty_split_is_refused_before_the_first_epoch(name):
    with pytest.raises(DataError, match=f"data: the {name} split has no images"):
        fit(Toy(), replace(toy_data(), **{name: Empty()}), **SHORT)


@pytest.mark.parametrize(("dataset", "size"), [(Empty(), 64), (toy_data().test, 0), (toy_data().test, -1)])
def test_an_evaluation_of_nothing_is_refused(dataset, size):
    with pytest.raises(ValueError, match=f"evaluate: {len(dataset)} images in batches of {size}, expected at least 1"):
        evaluate(Toy(), dataset, size)


def test_images_that_are_not_finite_are_named_not_the_learning_rate():
    data = toy_data()
    data.train._images = np.full((50, 6, 6), np.nan, np.float32)
    with pytest.raises(DataError, match="epoch 1, step 1: the images have NaN or infinity"):
        fit(Toy(), data, **SHORT)


def test_numbers_of_numpy_are_saved_as_others(tmp_path):
    model, data = Toy(width=np.int64(12)), toy_data(count=np.int64(3))
    numbers = {"epochs": np.int64(2), "lr": np.float32(0.01), "seed": np.uint8(3), "batch_size": np.int32(8)}
    fit(model, data, quiet=True, folder=tmp_path, lr_multipliers={"head": np.float32(0.5)}, **numbers)
    found = checkpoint.read(tmp_path / "checkpoint.h5")
    assert found.options == {"image_size": [6, 6], "width": 12}
    fit(model, data, quiet=True, folder=tmp_path, resume=True, lr_multipliers={"head": 0.5}, **numbers)


# Evaluation


def test_a_data_set_may_use_its_arrays_again():
    class Reused:
        image_size, inner, memory = (6, 6), toy_data().test, np.empty(64, np.int64)

        def __len__(self):
            return len(self.inner)

        def batch(self, indices, epoch=0):
            images, labels = self.inner.batch(indices, epoch)
            self.memory[: len(labels)] = labels
            return images, self.memory[: len(labels)]

    model = Toy()
    again, fresh = (evaluate(model, data, batch_size=7) for data in (Reused(), toy_data().test))
    assert (again.accuracy, again.cross_entropy) == (fresh.accuracy, fresh.cross_entropy)


class Penalised(Toy):
    def run(self, images):
        logits = super().run(images).result
        return Outputs(logits, penalty=(logits * 0.0).sum() + 0.5)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 64])
def test_evaluation_does_not_depend_on_the_batches(batch_size):
    model, data = Penalised(), toy_data()
    found = evaluate(model, data.test, batch_size)
    images, labels = data.test.batch(np.arange(20))
    z = model.eval()(images).data
    assert found.accuracy == metrics.accuracy(z, labels)
    assert found.cross_entropy == pytest.approx(metrics.cross_entropy(z, labels), rel=1e-6)
    assert found.loss == pytest.approx(found.cross_entropy + 0.5, rel=1e-6)
    assert found.confusion.sum() == 20
    assert found.images_per_second > 0


def test_the_speed_of_an_evaluation_is_that_of_the_network(monkeypatch):
    """By a clock that the network moves on by half a second an image, and the making of images by ten."""
    clock = [0.0]

    class Slow(Toy):
        def run(self, images):
            clock[0] += 0.5 * len(images)
            return super().run(images)

    class Made:
        def __init__(self, dataset):
            self.dataset = dataset

        def __len__(self):
            return len(self.dataset)

        def batch(self, indices, epoch=0):
            clock[0] += 10.0 * len(indices)
            return self.dataset.batch(indices, epoch)

    monkeypatch.setattr("hstn_ref.evaluation.time.perf_counter", lambda: clock[0])
    assert evaluate(Slow(), Made(toy_data().test), batch_size=7).images_per_second == 2.0


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_leaves_the_mode_and_records_nothing(training):
    class Recorded(Toy):
        def run(self, images):
            outputs = super().run(images)
            recorded.append(outputs.result.requires_grad)
            return outputs

    recorded = []
    model = Recorded().train(training)
    evaluate(model, toy_data().test)
    assert {module.training for module in model.modules()} == {training}
    assert recorded == [False]


def test_the_best_epoch_is_the_first_of_the_highest_validation_accuracy():
    history = [Epoch(i, 0, 0, loss, loss, accuracy, 0, 0, 0)
               for i, loss, accuracy in [(1, 0.5, 0.7), (2, 0.4, 0.9), (3, 0.3, 0.9), (4, 0.2, 0.8)]]  # fmt: skip
    assert best(history).epoch == 2


# Bad arguments, and what is shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "training.epochs is 0"),
        ({"batch_size": 0}, "training.batch_size is 0"),
        ({"lr": -1.0}, "training.lr is -1.0"),
        ({"restarts": -1}, "training.restarts is -1, expected at least 0"),
        ({"restarts": 1, "restart_epochs": 0}, "training.restart_epochs is 0"),
        ({"restart_lr": float("nan")}, "training.restart_lr is nan, expected a positive number"),
        ({"epochs": 4, "restarts": 2}, "training.epochs is 4, expected more than the 4 of 2 restarts every 2 epochs"),
        ({"restarts": 1}, "training.restarts is 1, expected 0 for Toy: it has no classifier"),
        ({"lr_multipliers": {"haed": 1.0}}, "no parameter is under 'haed'; did you mean head"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        fit(Toy(), toy_data(), **{**SHORT, **change})


def test_quiet_shows_nothing_and_otherwise_a_line_an_epoch(capsys):
    fit(Toy(), toy_data(), **SHORT)
    assert capsys.readouterr() == ("", "")
    fit(Toy(), toy_data(), **{**SHORT, "quiet": False})
    shown = capsys.readouterr()
    assert shown.out == ""
    assert [line.split("  ")[0] for line in shown.err.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]

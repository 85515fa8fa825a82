import os
import signal
import threading

import numpy as np
import pytest

from hstn_ref import checkpoint
from hstn_ref.errors import ConfigError, DataError, FileError
from hstn_ref.stopping import Interrupted, stop_requests
from hstn_ref.training import fit

from .toy import SHORT, Toy, everything, stopping_after, toy_data, watch, without_times

# Stop and resume


@pytest.mark.parametrize(
    ("split", "number"),
    [("train", 1), ("train", 4), ("train", 7), ("valid", 1), ("valid", 3), ("train", 13), ("valid", 9)],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, split, number):
    straight = fit(Toy(), toy_data(), **SHORT, folder=tmp_path / "straight")
    data, _ = watch(toy_data(), split, stopping_after(number))
    with pytest.raises(Interrupted, match=r"stopped and is saved in .*broken"):
        fit(Toy(), data, **SHORT, folder=tmp_path / "broken")
    model = Toy(rng=99)  # all of it comes from the checkpoint
    resumed = fit(model, toy_data(), **SHORT, folder=tmp_path / "broken", resume=True)
    assert everything(tmp_path / "broken") == everything(tmp_path / "straight")
    assert without_times(resumed.history) == without_times(straight.history)
    assert (tmp_path / "broken" / "best.h5").read_bytes() == (tmp_path / "straight" / "best.h5").read_bytes()


def test_a_run_may_be_stopped_again_and_again(tmp_path):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path / "straight")
    for _ in range(30):
        data, _ = watch(toy_data(), "train", stopping_after(1))  # one step at a time
        try:
            fit(Toy(), data, **SHORT, folder=tmp_path / "broken", resume=True)
        except Interrupted:
            continue
        break
    assert everything(tmp_path / "broken") == everything(tmp_path / "straight")


def test_validation_can_be_stopped(tmp_path):
    data, valid = watch(toy_data(), "valid", stopping_after(2))  # of 3 batches
    with pytest.raises(Interrupted):
        fit(Toy(), data, **SHORT, folder=tmp_path)
    assert len(valid.asked) == 2
    _, state = everything(tmp_path)
    assert (state["step"], state["history"]) == (7, [])


def test_a_stop_while_the_last_epoch_is_saved_is_heard(tmp_path):
    class Stopped(Toy):
        def save(self, path):
            signal.raise_signal(signal.SIGINT)
            super().save(path)

    with pytest.raises(Interrupted):
        fit(Stopped(), toy_data(), **{**SHORT, "epochs": 1}, folder=tmp_path)
    _, state = everything(tmp_path)
    assert len(state["history"]) == 1


def test_a_resumed_run_remembers_the_plateau(tmp_path):
    """Nothing improves after epoch 1, and the run is stopped while it waits."""
    options = {**SHORT, "lr": 1e-60, "epochs": 50, "patience": 2, "reductions": 2}
    data, _ = watch(toy_data(), "train", stopping_after(15))  # in epoch 3
    with pytest.raises(Interrupted):
        fit(Toy(), data, **options, folder=tmp_path)
    result = fit(Toy(), toy_data(), **options, folder=tmp_path, resume=True)
    assert [epoch.lr for epoch in result.history] == pytest.approx([1e-60] * 3 + [1e-61] * 2, rel=1e-12, abs=0)


def test_a_resumed_cosine_ends_with_the_same_bits(tmp_path):
    options = {**SHORT, "schedule": "cosine", "lr_multipliers": {"features": 0.1}}
    fit(Toy(), toy_data(), **options, folder=tmp_path / "straight")
    data, _ = watch(toy_data(), "train", stopping_after(10))
    with pytest.raises(Interrupted):
        fit(Toy(), data, **options, folder=tmp_path / "broken")
    fit(Toy(), toy_data(), **options, folder=tmp_path / "broken", resume=True)
    assert everything(tmp_path / "broken") == everything(tmp_path / "straight")
    with pytest.raises(DataError, match="started with epochs = 3, and cannot be resumed with 4"):
        fit(Toy(), toy_data(), **{**options, "epochs": 4}, folder=tmp_path / "broken", resume=True)


def test_a_run_of_before_there_were_restarts_goes_on_without_any(tmp_path):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path)
    before = checkpoint.read(tmp_path / "checkpoint.h5")
    del before.training.state["config"]["restart_lr"]
    checkpoint.write(before, tmp_path / "checkpoint.h5")
    longer = {**SHORT, "epochs": 4}
    assert len(fit(Toy(), toy_data(), **longer, folder=tmp_path, resume=True).history) == 4
    checkpoint.write(before, tmp_path / "checkpoint.h5")
    with pytest.raises(DataError, match=r"started with restart_lr = 0.0001, and cannot be resumed with 0.1"):
        fit(Toy(), toy_data(), **longer, restart_lr=0.1, folder=tmp_path, resume=True)


def test_resume_may_train_longer(tmp_path):
    longer = {**SHORT, "epochs": 5}
    fit(Toy(), toy_data(), **longer, folder=tmp_path / "straight")
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path / "extended")
    fit(Toy(), toy_data(), **longer, folder=tmp_path / "extended", resume=True)
    straight, extended = everything(tmp_path / "straight"), everything(tmp_path / "extended")
    assert extended == straight


def test_resume_of_a_finished_run_changes_nothing(tmp_path):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    result = fit(Toy(rng=9), toy_data(), **SHORT, folder=tmp_path, resume=True)
    assert (tmp_path / "checkpoint.h5").read_bytes() == before
    assert len(result.history) == 3


def test_resume_without_a_checkpoint_begins(tmp_path):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path / "a", resume=True)
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path / "b")
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_the_data_may_have_moved_and_must_not_have_changed(tmp_path):
    fit(Toy(), toy_data(source="here", source_sha256="ab"), **SHORT, folder=tmp_path)
    fit(Toy(), toy_data(source="there", source_sha256="ab"), **SHORT, folder=tmp_path, resume=True)
    with pytest.raises(DataError, match=r"source_sha256 = ab, and cannot be resumed with cd"):
        fit(Toy(), toy_data(source="here", source_sha256="cd"), **SHORT, folder=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("model", "data", "change", "message"),
    [
        (Toy, toy_data, {"batch_size": 4}, "batch_size = 8, and cannot be resumed with 4"),
        (Toy, toy_data, {"seed": 1}, "seed = 0, and cannot be resumed with 1"),
        (Toy, toy_data, {"lr": 1.0}, "lr = 0.01, and cannot be resumed with 1.0"),
        (Toy, toy_data, {"lr_multipliers": {"head": 2.0}}, "lr_multipliers = {}"),
        (Toy, lambda: toy_data(49), {}, "data.train = 50 images, and cannot be resumed with 49 images"),
        (Toy, lambda: toy_data(seed=2), {}, "data.seed = None, and cannot be resumed with 2"),
        (lambda: Toy(width=13), toy_data, {}, "checkpoint has options"),
        (lambda: Toy(dtype=np.float64), toy_data, {}, "checkpoint has dtype 'float32', expected 'float64'"),
    ],
)
def test_resume_refuses_what_would_change_the_bits(tmp_path, model, data, change, message):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    with pytest.raises(DataError, match=message):
        fit(model(), data(), **{**SHORT, **change}, folder=tmp_path, resume=True)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_resume_needs_a_state_of_training(tmp_path):
    Toy().save(tmp_path / "checkpoint.h5")
    with pytest.raises(DataError, match="holds a network but no state of training"):
        fit(Toy(), toy_data(), **SHORT, folder=tmp_path, resume=True)


@pytest.mark.parametrize("change", [{"step": None}, {"history": [{"epoch": 1}]}, {"generators": []}, {"adam": {}}])
def test_a_state_that_does_not_fit_is_an_error(tmp_path, change):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path)
    content = checkpoint.read(tmp_path / "checkpoint.h5")
    content.training.state.update(change)
    if change == {"step": None}:
        del content.training.state["step"]
    checkpoint.write(content, tmp_path / "checkpoint.h5")
    with pytest.raises(DataError, match=r"checkpoint\.h5: the state of training does not fit"):
        fit(Toy(), toy_data(), **SHORT, folder=tmp_path, resume=True)


def test_without_a_folder_there_is_nothing_to_resume():
    with pytest.raises(ConfigError, match="there is no folder to go on from"):
        fit(Toy(), toy_data(), **SHORT, resume=True)


def test_a_run_is_not_overwritten(tmp_path):
    fit(Toy(), toy_data(), **SHORT, folder=tmp_path)
    with pytest.raises(FileError, match="holds a run already"):
        fit(Toy(), toy_data(), **SHORT, folder=tmp_path)


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_the_second_acts(number):
    both = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, signal.default_int_handler) for each in both}  # else ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt), stop_requests() as stop:
            assert stop.signal_number is None
            signal.raise_signal(number)
            assert stop.signal_number == number
            signal.raise_signal(number)
        assert [signal.getsignal(each) for each in both] == [signal.default_int_handler] * 2
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_training_works_outside_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(fit(Toy(), toy_data(), **SHORT)))
    thread.start()
    thread.join()
    assert without_times(results[0].history) == without_times(fit(Toy(), toy_data(), **SHORT).history)


def test_a_stop_without_a_folder_says_that_nothing_is_saved():
    data, _ = watch(toy_data(), "train", stopping_after(2))
    with pytest.raises(Interrupted, match="without a folder nothing is saved") as caught:
        fit(Toy(), data, **SHORT)
    assert caught.value.signal_number == signal.SIGINT

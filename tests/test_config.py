import re

import pytest

from hstn_ref import config
from hstn_ref.config import DataConfig, ModelConfig, PretrainingConfig, RunConfig, TrainingConfig
from hstn_ref.errors import ConfigError, FileError

FULL = RunConfig(
    threads=2,
    data=DataConfig("mnist", seed=3, fresh=False),
    model=ModelConfig("hstn", "float64", {"preset": "tiny", "image_size": [36, 28], "alpha": 0.5}),
    training=TrainingConfig(
        epochs=3,
        batch_size=32,
        lr=3e-4,
        lr_multipliers={"localisation": 0.1, "flow_generator.up": 2.0},
        schedule="cosine",
        restarts=1,
        restart_epochs=1,
        restart_lr=2e-4,
        patience=4,
        reductions=1,
        seed=7,
        checkpoint_minutes=0.25,
    ),
    pretraining=PretrainingConfig(epochs=2, localisation_from="runs/a b/best.h5"),
)


@pytest.mark.parametrize("value", [RunConfig(), FULL])
def test_a_file_gives_back_what_was_written(tmp_path, value):
    config.write(value, tmp_path / "config.toml")
    assert config.read(tmp_path / "config.toml") == value


def test_the_defaults_are_the_papers():
    assert RunConfig().training.lr == 1e-4
    assert RunConfig().model.name == "hstn"


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "c.toml").write_text("")
    assert config.read(tmp_path / "c.toml") == RunConfig()


def test_an_integer_is_a_number(tmp_path):
    (tmp_path / "c.toml").write_text("[training]\nlr = 1\ncheckpoint_minutes = 2")
    found = config.read(tmp_path / "c.toml").training.lr
    assert (found, type(found)) == (1.0, float)


def test_override_changes_what_is_given_and_nothing_else():
    found = FULL.override({"training.lr": 0.5, "data.source": None, "threads": 1, "model.options": {"alpha": 1.0}})
    assert found.training.lr == 0.5
    assert found.training.epochs == FULL.training.epochs
    assert found.data == FULL.data
    assert found.threads == 1
    assert found.model.options == {"preset": "tiny", "image_size": [36, 28], "alpha": 1.0}
    assert FULL.training.lr == 3e-4  # the original is as it was


def test_override_hears_what_is_0_or_false():
    given = {"data.fresh": False, "training.seed": 0, "training.lr_multipliers": {"localisation": 0.0}}
    found = config.from_dict(RunConfig, {"training": {"seed": 7}}).override(given)
    assert (found.data.fresh, found.training.seed) == (False, 0)
    assert found.training.lr_multipliers == {"localisation": 0.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nbatchsize = 3", "unknown key 'training.batchsize'; did you mean training.batch_size"),
        ("[trainig]\nepochs = 3", "unknown key 'trainig'; did you mean training"),
        ("zzz = 1", "unknown key 'zzz'; known are threads, data, model"),
        ("[training]\nepochs = 'many'", "training.epochs is 'many', expected an integer"),
        ("[training]\nepochs = 2.5", "training.epochs is 2.5, expected an integer"),
        ("[training]\nepochs = true", "training.epochs is True, expected an integer"),
        ("[training]\nlr = '1'", "training.lr is '1', expected a number"),
        ("[model]\nname = 3", "model.name is 3, expected a text"),
        ("[data]\nfresh = 1", "data.fresh is 1, expected true or false"),
        ("[data]\nseed = -1", "data.seed is -1, expected at least 0"),
        ("training = 3", "training is 3, expected a table"),
        ("[model]\noptions = 3", "model.options is 3, expected a table"),
        ("[training.lr_multipliers]\na = 'x'", "training.lr_multipliers.a is 'x', expected a number"),
        ("[training.lr_multipliers]\na = -1", "training.lr_multipliers.a is -1.0, expected at least 0"),
        ("[training]\nschedule = 'step'", "training.schedule is 'step', expected one of plateau, cosine"),
        ("[training]\nepochs = 0", "training.epochs is 0, expected at least 1"),
        ("[training]\nbatch_size = 0", "training.batch_size is 0, expected at least 1"),
        ("[training]\npatience = 0", "training.patience is 0, expected at least 1"),
        ("[training]\nreductions = 0", "training.reductions is 0, expected at least 1"),
        ("[training]\nlr = 0", "training.lr is 0.0, expected a positive number"),
        ("[training]\nlr = inf", "training.lr is inf, expected a positive number"),
        ("[training]\nlr = nan", "training.lr is nan, expected a positive number"),
        ("[training]\nseed = -1", "training.seed is -1, expected at least 0"),
        ("[training]\ncheckpoint_minutes = -1", "training.checkpoint_minutes is -1.0, expected at least 0"),
        ("[pretraining]\nepochs = -1", "pretraining.epochs is -1, expected at least 0"),
        ("[model]\ndtype = 'float16'", "model.dtype is 'float16', expected one of float32, float64"),
        ("[model]\noptions = { rng = 3 }", "model.options.rng: it is set by training.seed"),
        ("[data]\nsize = [64, 5000]", "data.size is [64, 5000], expected height and width, at most 4096"),
        ("[data]\npairs = 99999999999999999999", "data.pairs is 99999999999999999999, expected 1 to 10000000"),
        ("[data.deformation]\nsigma = inf", "data.deformation.sigma is inf, expected a number from 0.1 to 1000"),
        ("[data.deformation]\nsigma = 0", "data.deformation.sigma is 0.0, expected a number from 0.1 to 1000"),
        ("[data.deformation]\nshift = nan", "data.deformation.shift is nan, expected a number from 0 to 1"),
        ("[data.deformation]\nscale = 2.0", "data.deformation.scale is 2.0, expected a number from 0 to 0.9"),
        ("[data.deformation]\nrotation = -3.0", "data.deformation.rotation is -3.0, expected a number from 0 to 180"),
        ("threads = 0", "threads is 0, expected at least 1"),
        ("threads = ", "the file is not valid TOML"),
    ],
)
def test_a_bad_file_is_an_error_that_names_file_and_key(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 2.5}, "training.batch_size is 2.5, expected an integer"),
        ({"epochs": 1.5}, "training.epochs is 1.5, expected an integer"),
        ({"lr": "a"}, "training.lr is 'a', expected a number"),
        ({"patience": None}, "training.patience is None, expected an integer"),
        ({"lr_multipliers": 3}, "training.lr_multipliers is 3"),
    ],
)
def test_values_of_another_kind_are_named_in_python_too(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        TrainingConfig(**values)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"threads = 1 # \xff")
    with pytest.raises(ConfigError, match=r"not UTF-8 text .at byte 14"):
        config.read(tmp_path / "c.toml")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileError, match=r"cannot read the configuration .*: No such file"):
        config.read(tmp_path / "c.toml")


def test_an_error_in_a_flag_names_the_key():
    with pytest.raises(ConfigError, match=r"unknown key 'training\.epoch'; did you mean training\.epochs"):
        RunConfig().override({"training.epoch": 3})

"""The command `hstn`: golden paths in this process and as a real one, and every error as one sentence."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hstn_ref
from hstn_ref import checkpoint, cli, config, files, models, runs
from hstn_ref.cli import main
from hstn_ref.history import read_history
from hstn_ref.stopping import Interrupted

from .data.samples import mnist_folder
from .toy import everything

FILES = {"best.h5", "checkpoint.h5", "config.toml", "curves.png", "history.jsonl", "result.json", "stages.png"}
HSTN = [sys.executable, "-c", "from hstn_ref.cli import main; main()"]
TWO_THREADS = {**os.environ, "NUMBA_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}  # even on one core
CNN = ["--model", "cnn", "--epochs", "1", "--batch-size", "16", "--threads", "1", "--quiet"]


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with MNIST files of 48 digits, and a data set of 36 x 36 pixels made of them."""
    folder = tmp_path_factory.mktemp("cli")
    mnist_folder(folder / "mnist", 48, 10)
    arguments = ["data", "make", f"{folder}/d.h5", "--digits", f"{folder}/mnist", "--canvas", "36", "36", "--quiet"]
    done = run(*arguments)
    assert done.stdout.strip() == f"{folder}/d.h5: 40 train, 8 valid, 10 test images of 36x36 pixels"
    return folder


@pytest.fixture(scope="session")
def trained(place):
    """The folder of a run of the CNN."""
    done = run("train", *CNN, "--data", f"{place}/d.h5", "--out", f"{place}/cnn", "--option", "dropout=0.25")
    assert done.exit_code == 0
    return place / "cnn"


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def error_of(*arguments):
    """The one sentence of a command that fails."""
    done = run(*arguments, code=1)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("hstn: error: ")
    return done.stderr.removeprefix("hstn: error: ").strip()


# hstn


def test_help_is_quick():
    """No library that takes long to import is loaded for it."""
    heavy = "{'numpy', 'numba', 'h5py', 'matplotlib', 'scipy', 'rich'}"
    code = f"import sys, hstn_ref.cli; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["data"], ["data", "make"], ["data", "inspect"],
                                     ["data", "download"], ["demo"]])  # fmt: skip
def test_every_command_has_help_with_an_example(command):
    shown = run(*command, "--help").output
    assert "hstn " + " ".join(command) in shown
    assert "Example" in shown or command == ["data"]


def test_version():
    assert run("--version").output == f"hstn, version {hstn_ref.__version__}\n"


def test_the_installed_command_is_this_one():
    with open(cli.__file__.split("hstn_ref")[0] + "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["scripts"] == {"hstn": "hstn_ref.cli:main"}


def test_debug_shows_the_traceback():
    done = CliRunner().invoke(main, ["--debug", "evaluate", "missing.h5"])
    assert isinstance(done.exception, OSError)


def test_wrong_usage_is_exit_code_2_with_a_suggestion():
    done = run("train", "--epoch", "3", code=2)
    assert "No such option" in done.stderr and "--epochs" in done.stderr


def test_ctrl_c_outside_of_training_is_exit_code_130(monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("hstn_ref.data.inspect", stopped)
    assert run("data", "inspect", code=130).stderr == "\nhstn: stopped\n"


# hstn train


def test_train_writes_everything(place, trained):
    assert {path.name for path in trained.iterdir()} == FILES
    result = json.loads((trained / "result.json").read_text())
    assert result["model"] == "cnn"
    assert result["parameters"] == sum(p.size for p in models.load(trained / "best.h5").parameters())
    assert result["epochs"] == {"cnn": 1}
    assert (result["seed"], result["threads"], result["images"]) == (0, 1, 10)
    assert result["data"]["source_sha256"]
    assert result["machine"]["numpy"] == np.__version__
    assert 0 <= result["accuracy"] <= 1 and result["seconds"] > 0
    assert np.sum(result["confusion"]) == 10
    saved = config.read(trained / "config.toml")
    assert saved.model.options == models.load(trained / "best.h5").options
    assert saved.model.options["dropout"] == 0.25
    assert saved.training.batch_size == 16
    for picture in ("curves.png", "stages.png"):
        with Image.open(trained / picture) as image:
            assert image.width > 500


def test_flags_override_the_file(place, tmp_path):
    (tmp_path / "c.toml").write_text(
        f'threads = 1\n[data]\nsource = "{place}/d.h5"\n[model]\nname = "cnn"\noptions = {{ padding = "same" }}\n'
        "[training]\nepochs = 7\nlr = 0.5\nbatch_size = 20\nlr_multipliers = { classifier = 0.5 }\n"
    )
    flags = ["--epochs", "2", "--lr", "1e-3", "--seed", "5", "--lr-multiplier", "classifier.0=0.25"]
    run("train", "--config", tmp_path / "c.toml", *flags, "--schedule", "cosine", "--out", tmp_path / "run", "--quiet")
    saved = config.read(tmp_path / "run" / "config.toml")
    assert (saved.training.epochs, saved.training.lr, saved.training.seed) == (2, 1e-3, 5)
    assert saved.training.batch_size == 20
    assert saved.training.lr_multipliers == {"classifier": 0.5, "classifier.0": 0.25}
    assert saved.model.options["padding"] == "same"
    rates = [epoch.lr for epoch in read_history(tmp_path / "run" / "history.jsonl")]  # 2 steps an epoch
    assert rates == pytest.approx([1e-3 * math.cos(math.pi * t / 8) ** 2 for t in (1, 3)])


def test_hstn_begins_with_the_localisation_network_of_the_first_stage(place, tmp_path):
    """With a learning rate that changes nothing, the second stage ends with these weights of the first, no others."""
    arguments = ["--preset", "tiny", "--epochs", "1", "--threads", "1", "--quiet", "--data", place / "d.h5"]
    run("train", *arguments, "--pretrain-epochs", "2", "--lr", "1e-60", "--out", tmp_path / "a", "--seed", "3")
    first, hstn = models.load(tmp_path / "a" / "affine_stn" / "best.h5"), models.load(tmp_path / "a" / "best.h5")
    fresh = models.build("hstn", rng=3, **hstn.options)
    assert len(read_history(tmp_path / "a" / "affine_stn" / "history.jsonl")) == 2
    assert json.loads((tmp_path / "a" / "result.json").read_text())["epochs"] == {"affine_stn": 2, "hstn": 1}
    for name, array in hstn.state().items():
        source = first if name.startswith("localisation") else fresh
        np.testing.assert_array_equal(array, source.state()[name])
    run("train", *arguments, "--localisation-from", tmp_path / "a" / "affine_stn" / "best.h5", "--lr", "1e-60",
        "--out", tmp_path / "b", "--seed", "4")  # fmt: skip
    assert not (tmp_path / "b" / "affine_stn").exists()
    found = models.load(tmp_path / "b" / "best.h5").state()
    for name, array in first.localisation.state().items():
        np.testing.assert_array_equal(found[f"localisation.{name}"], array)


def test_ctrl_c_saves_and_says_how_to_go_on(place, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise Interrupted("saved", 15)

    monkeypatch.setattr(runs, "train", stopped)
    out = tmp_path / "a run"
    done = run("train", *CNN, "--data", place / "d.h5", "--out", out, code=128 + 15)
    assert done.stderr == f"\nhstn: stopped and saved; continue with: hstn train --resume --out '{out}'\n"


def test_a_failed_start_does_not_block_the_folder(place, tmp_path):
    error_of("train", *CNN, "--data", place / "d.h5", "--out", tmp_path, "--lr-multiplier", "x=1")
    run("train", *CNN, "--data", place / "d.h5", "--out", tmp_path)
    assert (tmp_path / "result.json").exists()


def test_train_refuses_a_folder_with_a_run(place, trained, tmp_path):
    message = error_of("train", *CNN, "--data", place / "d.h5", "--out", trained)
    assert message == f"{trained} holds a run already; continue it with --resume, or choose another folder"
    shutil.copy(trained / "best.h5", tmp_path)  # as `hstn_ref.fit` leaves it, which --resume cannot continue
    message = error_of("train", *CNN, "--data", place / "d.h5", "--out", tmp_path)
    assert message == f"{tmp_path} holds a run already; choose another folder"


def test_resume_of_a_finished_run_keeps_its_weights_and_may_go_on(place, trained, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    before = (folder / "checkpoint.h5").read_bytes()
    message = error_of("train", "--resume", "--out", folder, "--batch-size", "8")
    assert message == f"{folder}/config.toml has training.batch_size = 16; a run cannot be resumed with 8 instead"
    told = (folder / "config.toml").read_bytes()
    with h5py.File(shutil.copy(place / "d.h5", tmp_path / "other.h5"), "a") as file:
        file.attrs["source_sha256"] = "ab"
    message = error_of("train", "--resume", "--out", folder, "--data", tmp_path / "other.h5")
    assert "cannot be resumed with ab" in message and (folder / "config.toml").read_bytes() == told
    run("train", "--resume", "--out", folder, "--quiet")
    assert (folder / "checkpoint.h5").read_bytes() == before
    run("train", "--resume", "--out", folder, "--quiet", "--epochs", "2")
    assert len(read_history(folder / "history.jsonl")) == 2
    assert config.read(folder / "config.toml").training.epochs == 2
    message = error_of("train", "--resume", "--out", folder, "--quiet", "--epochs", "1")
    assert message == f"training.epochs is 1, {folder}/checkpoint.h5 has 2 already"
    assert config.read(folder / "config.toml").training.epochs == 2


def test_the_second_stage_begins_with_what_the_first_has_learned(place, tmp_path, monkeypatch):
    begun = []

    def watched(model, *arguments, **options):
        begun.append((model.name, {name: array.copy() for name, array in model.state().items()}))
        return hstn_ref.fit(model, *arguments, **options)

    monkeypatch.setattr(runs, "fit", watched)
    arguments = ["--preset", "tiny", "--data", place / "d.h5", "--epochs", "1", "--batch-size", "16", "--lr", "1e-3"]
    run("train", *arguments, "--out", tmp_path / "run", "--quiet")
    (first, before), (second, state) = begun
    assert (first, second) == ("affine_stn", "hstn")
    learned = models.load(tmp_path / "run" / "affine_stn" / "best.h5").state()
    names = [name for name in learned if name.startswith("localisation.")]
    assert names and all((state[name] == learned[name]).all() for name in names)
    assert not all((before[name] == learned[name]).all() for name in names)


def test_resume_needs_a_folder():
    assert "--resume needs --out" in run("train", "--resume", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--model hstm",
            "model: unknown model 'hstm', expected one of cnn, affine_stn, tps_stn, c_stn, ic_stn, hstn; did",
        ),
        ("--model cnn --preset tiny", "model: cnn has no option preset; it has image_size, "),
        ("--model cnn --option paddding=same", "model: cnn has no option paddding"),
        ("--model cnn --option image_size=[28,28]", "model.options.image_size is [28, 28], the images of"),
        ("--model cnn --option image_size=36", "model: CNN: image_size is 36, expected height and width"),
        ("--model hstn --preset huge", "model: "),
        ("--option detach_first_warp=False", "model: HSTN: detach_first_warp is 'False', expected true or false"),
        ("--option alpha=x", "model: HSTN: alpha is 'x', expected a finite number of at least 0"),
        ("--dtype int8", "model.dtype is 'int8', expected one of float32, float64"),
        ("--option rng=3", "model.options.rng: it is set by training.seed"),
        ("--option dtype=float64", "model.options.dtype: it is set by model.dtype"),
        ("--model cnn --option channels=3", "model.options.channels is 3, images of digits have 1"),
        ("--model cnn --option classes=3", "model.options.classes is 3, expected 10, one for each digit"),
        ("--config {place}/nope.toml", "cannot read the configuration"),
        ("--lr -1", "training.lr is -1.0, expected a positive number"),
        ("--epochs 0", "training.epochs is 0, expected at least 1"),
        ("--threads 99", "threads is 99, expected 1 to"),
        ("--threads 0", "threads is 0, expected at least 1"),
        ("--data {place}/nope", "cannot read {place}/nope: there is no such file or folder"),
        ("--model cnn --pretrain-epochs 1", "pretraining is a stage of hstn; the model is cnn"),
        ("--localisation-from {place}/nope.h5", "cannot read the checkpoint"),
        ("--localisation-from nope", "there is no file nope, nor has the package a network of that name; it has cnn"),
        ("--localisation-from affine_stn", "affine_stn: the localisation network does not fit hstn: "),
        ("--localisation-from {place}/cnn/best.h5", "{place}/cnn/best.h5: the model 'cnn' has no localisation network"),
        ("--lr-multiplier flaw_generator=0.1", "training.lr_multipliers: no parameter is under 'flaw_generator'; did"),
        ("--lr-multiplier localisation=high", "training.lr_multipliers.localisation is 'high', expected a number"),
        ("--out {place}/d.h5", "cannot write to the folder {place}/d.h5: a file has that name ({place}/d.h5)"),
        ("--out {place}/d.h5/run", "cannot write to the folder {place}/d.h5/run: "),
        ("--resume --out {place}/mnist", "there is no run to resume in {place}/mnist"),
    ],
)
def test_what_is_wrong_with_a_training_is_one_sentence(place, trained, tmp_path, arguments, message):
    given = arguments.format(place=place).split()
    defaults = [] if "--resume" in given else ["--data", f"{place}/d.h5", "--out", f"{tmp_path}/run", "--quiet"]
    assert error_of("train", *defaults, *given).startswith(message.format(place=place))
    assert not (tmp_path / "run").exists()


def test_a_training_that_fails_before_its_first_checkpoint_leaves_nothing(place, tmp_path):
    arguments = ["--data", place / "d.h5", "--model", "hstn", "--preset", "tiny", "--lr", "1e30", "--quiet"]
    assert error_of("train", *arguments, "--out", tmp_path / "run").startswith("epoch 1: the validation loss is nan")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert error_of("train", *arguments, "--out", tmp_path / "run").startswith("epoch 1: the validation loss is nan")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_what_belongs_to_an_alignment_is_wrong_usage_for_a_classifier(tmp_path):
    for option in (("--size", "64"), ("--pairs", "3")):
        done = run("train", "--model", "cnn", *option, "--out", tmp_path / "run", code=2)
        assert "--size and --pairs belong to --task align" in done.stderr


def test_an_option_that_is_no_assignment():
    assert "'padding' is not of the form NAME=VALUE" in run("train", "--option", "padding", code=2).stderr


# Killed and resumed, as a real process


def kill_after(line, arguments):
    """Start `hstn`, kill it without warning when it has shown a line, and return whether it was still running."""
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen([*HSTN, *arguments], env=TWO_THREADS, **pipes)
    for shown in process.stderr:
        if shown.startswith(line):
            break
    process.kill()
    process.stderr.close()
    return process.wait() == -9


def test_a_killed_run_ends_with_the_same_bits_at_any_number_of_threads(place, tmp_path):
    """Killed in both stages, with a checkpoint at every step, in turn with 1 and 2 threads."""
    fixed = ["--preset", "tiny", "--data", f"{place}/d.h5", "--epochs", "2", "--batch-size", "16", "--lr", "1e-3"]
    straight, broken = str(tmp_path / "straight"), str(tmp_path / "broken")
    subprocess.run(
        [*HSTN, "train", *fixed, "--out", straight, "--threads", "1", "--quiet"], env=TWO_THREADS, check=True
    )
    begin = ["train", *fixed, "--out", broken, "--checkpoint-minutes", "0"]
    assert kill_after("epoch 1/2", [*begin, "--threads", "2"])
    resume = ["train", "--resume", "--out", broken]
    assert kill_after("stage 2 of 2", [*resume, "--threads", "1"])
    assert kill_after("epoch 1/2", [*resume, "--threads", "2"])
    last = ["--threads", "2", "--checkpoint-minutes", "5", "--quiet"]
    subprocess.run([*HSTN, *resume, *last], env=TWO_THREADS, check=True)
    for stage in ("affine_stn", "."):
        (a, state_a), (b, state_b) = (everything(f"{folder}/{stage}") for folder in (straight, broken))
        assert a == b
        for state in (state_a, state_b):
            del state["config"]["checkpoint_minutes"]
        assert state_a == state_b
        bests = [checkpoint.read(f"{folder}/{stage}/best.h5").weights for folder in (straight, broken)]
        assert all((bests[0][name] == bests[1][name]).all() for name in bests[0])


# hstn evaluate


def test_evaluate_prints_a_table_and_writes_json_and_a_figure(place, trained, tmp_path):
    arguments = ["--data", place / "d.h5", "--threads", "1"]
    shown = run(
        "evaluate", trained / "best.h5", *arguments, "--json", tmp_path / "r.json", "--figure", tmp_path / "s.png"
    )
    (result,) = json.loads((tmp_path / "r.json").read_text())
    before = json.loads((trained / "result.json").read_text())
    assert (result["accuracy"], result["confusion"]) == (before["accuracy"], before["confusion"])
    for text in ("cnn", f"{result['accuracy']:.4f}", f"{result['cross_entropy']:.4f}", f"{result['parameters']:,}"):
        assert text in shown.output
    with Image.open(tmp_path / "s.png") as image:
        assert image.format == "PNG"


@pytest.mark.parametrize("name", ["tps_stn", "c_stn", "ic_stn"])
def test_other_transformers_are_trained_resumed_and_judged_by_name(place, tmp_path, name):
    """A run of two epochs, and one that is resumed after the first: the same bits."""
    arguments = ["--model", name, "--data", place / "d.h5", "--batch-size", "20", "--threads", "1", "--quiet"]
    run("train", *arguments, "--epochs", "2", "--out", tmp_path / "a")
    run("train", *arguments, "--epochs", "1", "--out", tmp_path / "b")
    run("train", "--resume", "--out", tmp_path / "b", "--epochs", "2", "--quiet")
    a, b = (checkpoint.read(tmp_path / run / "checkpoint.h5") for run in "ab")
    assert {name: w.tobytes() for name, w in a.weights.items()} == {name: w.tobytes() for name, w in b.weights.items()}
    shown = run("evaluate", tmp_path / "b" / "best.h5", "--data", place / "d.h5", "--threads", "1").output
    assert models.load(tmp_path / "b" / "best.h5").title in shown


def test_networks_of_two_sizes_have_two_names(place, tmp_path):
    for steps in (2, 4):
        models.build("c_stn", steps=steps, image_size=(36, 36)).save(tmp_path / f"{steps}.h5")
    shown = run("evaluate", tmp_path / "2.h5", tmp_path / "4.h5", "--data", place / "d.h5", "--threads", "1").output
    assert "c_stn_2" in shown and "c_stn_4" in shown


def test_every_network_of_the_package_is_found_and_loads():
    found = runs.trained_networks()
    assert sorted([*found, models.path_of("align")]) == sorted((Path(runs.__file__).parent / "weights").glob("*.h5"))
    assert [path.stem for path in found] == [models.load(path).title for path in found]
    assert [models.load(path.stem).options for path in found] == [models.load(path).options for path in found]


def test_a_network_of_the_package_is_judged_by_its_name(place):
    shown = run("evaluate", "cnn", "hstn", "--data", "embedded", "--threads", "1").output
    for name in ("cnn", "hstn"):
        accuracy = hstn_ref.evaluate(models.load(name), hstn_ref.data.open_data("embedded").test).accuracy
        assert accuracy > 0.96 and re.search(rf"{name}\W+{accuracy:.4f}", shown)
    assert "image EPE" in run("evaluate", "align", "--threads", "1").output
    message = error_of("evaluate", "./cnn", "--data", place / "d.h5")  # a path is no name
    assert message.startswith("there is no file ./cnn, nor has the package a network of that name; it has cnn, aff")


def test_a_name_without_a_network_is_told_those_that_have_one(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    for name in ("align", "cnn"):
        (tmp_path / f"{name}.h5").touch()
    missing = "there is no file tps_stn, nor has the package a network of that name; it has cnn, align"
    assert error_of("evaluate", "tps_stn") == missing


@pytest.mark.parametrize(
    ("option", "message"),
    [("--json results.h5", "a name that ends in .json"), ("--figure best.h5", "a name that ends in .png")],
)
def test_results_of_evaluate_do_not_replace_a_network(option, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in run("evaluate", *option.split(), "cnn", code=2).stderr
    assert "expected a folder" in error_of("evaluate", "cnn", "--json", f"{__file__}/results.json")


@pytest.mark.parametrize(("option", "other"), [("coords", "pixel"), ("border", "edge")])
def test_a_localisation_network_of_other_coordinates_is_refused(place, tmp_path, option, other):
    models.build("affine_stn", image_size=(36, 36), **{option: other}).save(tmp_path / "a.h5")
    arguments = ["--data", place / "d.h5", "--out", tmp_path / "run", "--localisation-from", tmp_path / "a.h5"]
    message = error_of("train", *arguments, "--preset", "tiny", "--quiet")
    assert message.startswith(f"{tmp_path}/a.h5: the localisation network has learned with {option} {other!r}, not ")


def test_a_c_stn_has_no_one_localisation_network(place, tmp_path):
    models.build("c_stn", image_size=(36, 36)).save(tmp_path / "c.h5")
    arguments = ["--data", place / "d.h5", "--out", tmp_path / "run", "--localisation-from", tmp_path / "c.h5"]
    message = error_of("train", *arguments, "--preset", "tiny", "--quiet")
    assert message == f"{tmp_path}/c.h5: the model 'c_stn' has no localisation network to begin with"


def test_evaluate_compares_several(place, trained, tmp_path):
    models.build("affine_stn", image_size=(36, 36)).save(tmp_path / "a.h5")
    shown = run("evaluate", trained / "best.h5", tmp_path / "a.h5", "--data", place / "d.h5", "--threads", "1").output
    assert "cnn" in shown and "affine_stn" in shown


@pytest.mark.parametrize(
    ("checkpoint_name", "message"),
    [
        ("nope.h5", "cannot read the checkpoint {path}: No such file or directory"),
        ("d.h5", "{path}: the file is not a checkpoint (its attribute 'format' is not 'hstn-ref checkpoint')"),
        ("small.h5", "{path}: the network is made for images of 28x28 pixels, those of the data have 36x36"),
    ],
)
def test_what_is_wrong_with_a_checkpoint_is_one_sentence(place, checkpoint_name, message):
    models.CNN(image_size=(28, 28)).save(place / "small.h5")
    path = place / checkpoint_name
    assert error_of("evaluate", path, "--data", place / "d.h5") == message.format(path=path)


def test_a_figure_is_of_one_network(trained):
    best = trained / "best.h5"
    assert "--figure draws one network" in run("evaluate", best, best, "--figure", "x.png", code=2).stderr


# hstn data


def test_inspect_prints_facts_or_json(place):
    shown = run("data", "inspect", place / "d.h5").output
    assert "images of 36x36 pixels" in shown and "distractors: 6" in shown
    facts = json.loads(run("data", "inspect", place / "d.h5", "--json").output)
    assert {name: split["images"] for name, split in facts["splits"].items()} == {"train": 40, "valid": 8, "test": 10}


def test_what_is_wrong_with_data_is_one_sentence(place, tmp_path):
    digits = ["--digits", place / "mnist"]
    assert error_of("data", "inspect", place / "nope").startswith(f"cannot read {place}/nope")
    message = "clutter: a digit of (28, 28) pixels does not fit a canvas of (20, 20)"
    assert error_of("data", "make", tmp_path / "x.h5", *digits, "--canvas", 20, 20) == message
    assert "canvases already" in error_of("data", "make", tmp_path / "x.h5", "--digits", place / "d.h5")
    assert error_of("data", "make", place / "d.h5" / "x.h5", *digits).startswith("cannot write")
    for name in ("clutter.npz", "clutter", "clutter.h5.tmp"):
        message = error_of("data", "make", tmp_path / name, *digits)
        assert message.startswith(f"{tmp_path}/{name}: the name of a data set that is written ends in .h5 or .hdf5")
    assert not list(tmp_path.iterdir())


def test_download_shows_what_it_fetches_and_what_failed(tmp_path, monkeypatch):
    seen = []

    def download(folder, *, base_url, announce):
        seen.append((folder, base_url))
        announce(base_url + "/file.gz")
        return [tmp_path / "file.gz"]

    monkeypatch.setattr("hstn_ref.data.download_mnist", download)
    done = run("data", "download", tmp_path, "--url", "http://localhost")
    assert seen == [(str(tmp_path), "http://localhost")]
    assert done.stdout == f"{tmp_path / 'file.gz'}\n"
    assert done.stderr == "fetching http://localhost/file.gz\n"


# hstn demo


def test_the_demo_trains_judges_and_draws(place, tmp_path, monkeypatch):
    small = hstn_ref.data.open_data(place / "d.h5")
    monkeypatch.setattr("hstn_ref.runs.open_data", lambda *arguments, **options: small)
    monkeypatch.setattr("hstn_ref.data.open_data", lambda *arguments, **options: small)
    monkeypatch.setattr("hstn_ref.runs.trained_networks", lambda: [])
    done = run("demo", "--out", tmp_path / "demo", "--threads", "1")
    assert "A short run: test accuracy" in done.stdout
    assert "hstn small, this short run" in done.stdout
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {*FILES, "affine_stn"}


def test_the_demo_removes_a_demo_only(place, trained, tmp_path):
    """A network that was trained stays, whether or not it can still be resumed."""
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "checkpoint.h5").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for arguments in (("demo",), ("train", "--data", f"{place}/d.h5", "--quiet"), ("demo", "--threads", "99")):
        done = run(*arguments, "--out", folder, code=1)
        assert "holds a run already" in done.stderr or "threads is 99" in done.stderr
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_two_processes_do_not_train_in_one_folder(place, tmp_path):
    fixed = ["train", "--model", "cnn", "--data", f"{place}/d.h5", "--epochs", "500", "--threads", "1"]
    first = subprocess.Popen([*HSTN, *fixed, "--out", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    try:
        for shown in first.stderr:
            if shown.startswith("epoch 1/500"):
                break
        for path in (tmp_path / "checkpoint.h5", tmp_path / "best.h5"):
            path.unlink(missing_ok=True)  # as if they were not there yet
        second = run(*fixed, "--seed", "7", "--out", tmp_path, code=1)
        assert (
            second.stderr
            == f"hstn: error: {tmp_path}: another process is training there, expected a folder of its own\n"
        )
        assert "seed = 0" in (tmp_path / "config.toml").read_text()
    finally:
        first.kill()
        first.communicate()
    with files.locked(tmp_path), files.locked(tmp_path):  # it went with the process, and is one's own
        pass


def test_remove_deletes_the_files_of_a_run_and_nothing_else(tmp_path):
    for folder in (tmp_path, tmp_path / "affine_stn"):
        folder.mkdir(exist_ok=True)
        for name in (*FILES, "notes.txt"):
            (folder / name).write_text("")
    runs.remove(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"notes.txt", "affine_stn", "affine_stn/notes.txt"}
    runs.remove(tmp_path / "missing")

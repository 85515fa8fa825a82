"""Training without labels: what is minimised and measured, stop and resume, the commands."""

import json
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose
from PIL import Image

from hstn_ref import alignment_metrics, checkpoint, models
from hstn_ref.cli import main
from hstn_ref.data import DataSplits, ImagePairs
from hstn_ref.deformation import Deformation
from hstn_ref.history import AlignmentEpoch, best, read_history
from hstn_ref.stopping import Interrupted
from hstn_ref.training import evaluate, fit

from .data.test_pairs import smooth
from .toy import bits, everything, stopping_after, watch, without_times

SHORT = {"epochs": 2, "batch_size": 8, "lr": 1e-3, "quiet": True}
SHIFTED = Deformation(rotation=0.0, scale=0.0, shift=0.15, rms=0.3, sigma=4.0)


def data(train=20, **options):
    options = {"deformation": SHIFTED, **options}
    splits = (
        ImagePairs([smooth((1, 30, 30))], (16, 16), n, stream=k, fresh=k == 0, **options)
        for k, n in enumerate((train, 10, 10))
    )
    return DataSplits(*splits, {})


def network(name="affine_stn", **options):
    return models.build(name, task="align", image_size=(16, 16), padding="same", border="edge", **options)


def test_training_aligns():
    result = fit(network(), data(train=200), **{**SHORT, "epochs": 8})
    first, last = result.history[0], result.history[-1]
    assert last.valid_loss < 0.5 * first.valid_loss
    assert last.valid_image_epe < 0.8 * first.valid_image_epe
    assert last.valid_flow_epe < 0.8 * first.valid_flow_epe


def test_the_history_is_of_the_right_things(tmp_path):
    model, pairs = network("hstn", preset="tiny"), data(train=8)
    result = fit(model, pairs, **{**SHORT, "epochs": 1, "folder": tmp_path})
    source, target, truth = pairs.valid.batch(np.arange(10))
    (line,) = result.history
    warped, motion = model(source, target).data, model.motion(source, target).data
    assert_allclose(line.valid_image_epe, alignment_metrics.image_epe(warped, target).mean(), rtol=1e-6)
    assert_allclose(line.valid_flow_epe, alignment_metrics.flow_epe(motion, truth).mean(), rtol=1e-6)
    assert_allclose(line.valid_loss, model.loss(source, target).item(), rtol=1e-5)
    before = network("hstn", preset="tiny")  # one step: its loss and error are those of the beginning
    (indices,) = [np.arange(8)]
    source, target, _ = pairs.train.batch(indices, 0)
    assert_allclose(line.train_loss, before.loss(source, target).item(), rtol=1e-5)
    assert_allclose(line.train_image_epe, alignment_metrics.image_epe(source, target).mean(), rtol=1e-5)
    assert read_history(tmp_path / "history.jsonl", AlignmentEpoch) == result.history


def test_the_true_motion_is_not_trained_with():
    class Wrong:
        def __init__(self, dataset):
            self.dataset, self.image_size = dataset, dataset.image_size

        def __len__(self):
            return len(self.dataset)

        def batch(self, indices, epoch=0):
            source, target, motion = self.dataset.batch(indices, epoch)
            return source, target, -7 * motion

    trained = []
    for change in (lambda split: split, Wrong):
        splits = [change(split) for _, split in data().items()]
        fit(model := network(), DataSplits(*splits, {}), **SHORT)
        trained.append(bits(model))
    assert trained[0] == trained[1]


def test_the_best_epoch_has_the_lowest_difference_of_the_images():
    lines = [
        AlignmentEpoch(k + 1, 0.0, 0.0, loss, image, flow, 1.0, 1.0, 1.0)
        for k, (loss, image, flow) in enumerate([(0.1, 9.0, 1.0), (0.3, 5.0, 3.0), (0.2, 5.0, 2.0)])
    ]
    assert best(lines).epoch == 2


@pytest.mark.parametrize(("split", "number"), [("train", 2), ("valid", 1), ("train", 5)])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, split, number):
    straight = fit(network(), data(), **SHORT, folder=tmp_path / "straight")
    stopping, _ = watch(data(), split, stopping_after(number))
    with pytest.raises(Interrupted):
        fit(network(), stopping, **SHORT, folder=tmp_path / "broken")
    resumed = fit(network(rng=9), data(), **SHORT, folder=tmp_path / "broken", resume=True)
    assert everything(tmp_path / "broken") == everything(tmp_path / "straight")
    assert without_times(resumed.history) == without_times(straight.history)


def test_metrics_do_not_depend_on_the_batches():
    found = [evaluate(network(), data().test, batch_size) for batch_size in (3, 10)]
    for name in ("image_epe", "flow_epe", "flow_epe_median", "share_below_1", "folding", "loss"):
        assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-6)
    assert found[0].folding == 0 and found[0].flow_epe > 0.5


def test_lines_name_the_error(capsys):
    fit(network(), data(train=8), **{**SHORT, "epochs": 1, "quiet": False})
    assert "train: loss 0." in (shown := capsys.readouterr().err) and shown.count("image_epe") == 2


# The commands


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


COMMON = ["--batch-size", "8", "--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of three colour images, and a run of HSTN on them."""
    folder = tmp_path_factory.mktemp("align")
    (folder / "images").mkdir()
    for k in range(3):
        Image.fromarray(smooth((3, 40, 50), k).transpose(1, 2, 0)).save(folder / "images" / f"{k}.png")
    small = ["--preset", "tiny", "--size", "16x24", "--pairs", "16", "--epochs", "1", "--option", "padding=same"]
    colour = ["--option", "channels=3", "--images", folder / "images", "--out", folder / "run"]
    folder.joinpath("shown.txt").write_text(run("train", "--task", "align", *small, *colour, *COMMON).output)
    return folder


def test_train_writes_everything(place):
    out = place / "run"
    assert {path.name for path in out.iterdir()} == {
        *("best.h5", "checkpoint.h5", "config.toml", "curves.png", "history.jsonl", "result.json", "stages.png"),
        "affine_stn",
    }
    table = tomllib.loads((out / "config.toml").read_text())
    assert (table["data"]["size"], table["data"]["pairs"]) == ([16, 24], 16)
    assert table["data"]["deformation"]["rotation"] == 15.0
    assert (table["model"]["options"]["task"], table["model"]["options"]["channels"]) == ("align", 3)
    result = json.loads((out / "result.json").read_text())
    assert result["images"] == 2 and result["data"]["kind"] == "pairs of images"
    assert result["flow_epe"] > 0 and result["valid_image_epe"] > 0 and "accuracy" not in result
    shown = (place / "shown.txt").read_text()
    for text in ("image EPE", "flow EPE", f"{result['image_epe']:.2f}", f"{result['parameters']:,}"):
        assert text in shown


def test_hstn_begins_with_the_affine_aligner(place):
    first = checkpoint.read(place / "run" / "affine_stn" / "best.h5")
    assert (first.model, first.options["task"], first.options["channels"]) == ("affine_stn", "align", 3)
    assert {name.partition(".")[0] for name in first.weights} == {"localisation"}


def test_a_run_goes_on_from_its_folder_alone(place):
    done = run("train", "--resume", "--out", place / "run", "--epochs", "2", *COMMON)
    assert "hstn" in done.output
    assert len(read_history(place / "run" / "history.jsonl", AlignmentEpoch)) == 2


def test_evaluate_judges_on_pairs(place, tmp_path):
    options = ["--images", place / "images", "--threads", "1", "--json", tmp_path / "r.json"]
    both = [place / "run" / name for name in ("best.h5", "affine_stn/best.h5")]
    shown = run("evaluate", *both, *options)
    results = json.loads((tmp_path / "r.json").read_text())
    assert [result["title"] for result in results] == ["hstn", "affine_stn"]
    assert all(f"{result['flow_epe']:.2f}" in shown.output for result in results)
    of_training = json.loads((place / "run" / "result.json").read_text())
    for name in ("flow_epe", "image_epe"):
        assert results[0][name] == pytest.approx(of_training[name], rel=1e-6)
    run("evaluate", both[0], *options, "--figure", tmp_path / "s.png")
    with Image.open(tmp_path / "s.png") as image:
        assert image.format == "PNG"


def test_networks_of_two_kinds_are_not_compared(place, tmp_path):
    models.AffineSTN(task="align", image_size=(40, 40)).save(tmp_path / "other.h5")
    done = run("evaluate", place / "run" / "best.h5", tmp_path / "other.h5", code=1)
    assert "differ in task, channels or size" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--task", "align", "--images", "missing"], "missing: there is no such folder", 1),
        (["--task", "align", "--model", "cnn"], "cnn has no option task", 1),
        (["--task", "align", "--size", "30"], r'too small for 3 times [5x5 convolution, pooling]; padding="same"', 1),
        (["--task", "align", "--size", "a"], "'a' is not of the form N or HxW", 2),
        (["--task", "align", "--pairs", "0"], "data.pairs is 0, expected 1 to 10000000", 1),
        (["--task", "align", "--option", "channels=2"], "2 channels, expected 1 (grey) or 3 (colour)", 1),
        (["--task", "find"], "'find' is not one of 'classify', 'align'", 2),
    ],
)
def test_what_is_wrong_is_said(tmp_path, arguments, message, code):
    done = run("train", *arguments, "--out", tmp_path / "out", *COMMON, code=code)
    assert message in done.stderr

"""Table 2 on a few images: end to end, from a part, after a stop, and every error as one sentence."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from hstn_ref import models
from hstn_ref.alignment_metrics import image_epe
from hstn_ref.errors import DataError, FileError
from hstn_ref.flow import brox
from hstn_ref.stopping import Interrupted
from hstn_ref.table2 import configuration, figures, judging, report, running

from .tables import (
    assert_call_refused,
    assert_configuration_refused,
    assert_other_seeds_and_data_are_reported,
    assert_table_without_its_runs_is_kept,
)
from .test_cli import run

SMALL = """
seeds = [0]
threads = 1
[data]
source = "{folder}/images"
image_size = 32
pairs = 16
[data.deformation]
rotation = 5.0
shift = 0.05
scale = 0.0
rms = 0.5
sigma = 5.0
[training]
epochs = 1
batch_size = 8
lr_multipliers = {{ localisation = 0.5, flow_generator = 0.3 }}
checkpoint_minutes = 0
[options]
border = "edge"
padding = "same"
[rows.none]
flow = "none"
[rows.truth]
flow = "truth"
[rows.brox]
flow = "brox2004"
[rows.affine_stn]
model = "affine_stn"
training = {{ epochs = 2 }}
[rows.hstn]
model = "hstn"
options = {{ preset = "tiny", alpha = 0.0 }}
localisation_from = "affine_stn"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with five images of smooth noise and the configuration of a small table."""
    folder = tmp_path_factory.mktemp("table2")
    (folder / "images").mkdir()
    rng = np.random.default_rng(1)
    for n in range(5):
        noise = gaussian_filter(rng.standard_normal((48, 48)), 2)
        grey = 255 * (noise - noise.min()) / np.ptp(noise)
        Image.fromarray(np.rint(grey).astype(np.uint8)).save(folder / "images" / f"{n}.png")
    (folder / "small.toml").write_text(SMALL.format(folder=folder))
    return folder


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Drawing takes most of the time: once is enough. Yields the function that draws the figure of a table."""
    draw = figures.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda *arguments: {})
        yield draw


@pytest.fixture(scope="module")
def table(place):
    """The folder of a table, finished in two calls, and what the second printed."""
    arguments = ["table2", "--config", place / "small.toml", "--out", place / "t", "--quiet"]
    first = run(*arguments, "--only", "brox", "--only", "affine_stn").output
    assert first.count("0 of 1 runs finished") == 3
    return place / "t", run(*arguments).output


def facts_of(folder):
    return json.loads((folder / "table2.json").read_text())


def test_a_table_is_made_and_written(table):
    folder, shown = table
    assert {path.name for path in folder.iterdir()} == {
        *("table2.toml", "table2.md", "table2.json"),
        *("none", "truth", "brox", "affine_stn", "hstn"),
    }
    facts, text = facts_of(folder), (folder / "table2.md").read_text()
    assert [row["title"] for row in facts["rows"]] == [
        *("no motion", "the true motion", "Optical Flow (Brox)", "Affine-STN", "HSTN")
    ]
    assert "reduced" not in text.lower() and text.count("| finished |") == 5
    errors = {row["row"]: row["image_epe_75"]["mean"] for row in facts["rows"]}
    assert errors["truth"] < errors["brox"] < 0.7 * errors["none"]
    assert [row["seconds_1"] is None for row in facts["rows"]] == [False, True, False, False, False]
    assert [row["seconds_64"] is None for row in facts["rows"]] == [True, True, True, False, False]
    assert [row["paper"] for row in facts["rows"]][1:4] == [None, [6.178, 0.0994], [6.9781, 0.0019]]
    assert [run["epochs"] for row in facts["rows"] for run in row["runs"] if "epochs" in run] == [2, 1]
    assert f"is {errors['brox'] / errors['hstn']:.2f} times that of HSTN; in the paper LDOF has 3.29 times" in text
    assert "Optical Flow" in shown


def test_hstn_begins_with_the_run_of_its_row(place, tmp_path):
    """With a rate that changes nothing, its localisation network is that of the trained Affine-STN of the same seed."""
    text = SMALL.format(folder=place).replace("checkpoint_minutes", "lr = 1e-60\ncheckpoint_minutes")
    text = text.replace("training = { epochs = 2 }", "training = { epochs = 2, lr = 0.01 }")
    (tmp_path / "c.toml").write_text(text)
    run("table2", "--config", tmp_path / "c.toml", "--out", tmp_path, "--only", "hstn", "--seeds", "3", "--quiet")
    assert not (tmp_path / "brox").exists()
    (row,) = (row for row in facts_of(tmp_path)["rows"] if row["row"] == "hstn")
    assert [(run["seed"], run["status"]) for run in row["runs"]] == [(0, "not started"), (3, "finished")]
    assert row["image_epe_75"]["mean"] == row["runs"][1]["image_epe_75"]
    first, hstn = (models.load(tmp_path / row / "seed-3" / "best.h5") for row in ("affine_stn", "hstn"))
    for name, array in first.localisation.state().items():
        np.testing.assert_array_equal(hstn.localisation.state()[name], array)


def test_evaluate_judges_on_the_pairs_of_the_table(place, table, tmp_path):
    network = table[0] / "hstn" / "seed-0" / "best.h5"
    run("evaluate", network, "--images", place / "images", "--json", tmp_path / "r.json")
    (judged,) = json.loads((tmp_path / "r.json").read_text())
    (row,) = (row for row in facts_of(table[0])["rows"] if row["row"] == "hstn")
    assert judged["images"] == 2
    assert judged["flow_epe"] == pytest.approx(row["runs"][0]["flow_epe"], rel=1e-6)


def test_seeds_beyond_the_configuration_and_other_data_are_reported(table, tmp_path):
    folder = shutil.copytree(table[0], tmp_path / "t")
    config, error = configuration.read(folder / "table2.toml"), facts_of(folder)["rows"][-1]["image_epe_75"]["mean"]
    said = f"| HSTN, seed 7 | {error:.3f} |"
    assert_other_seeds_and_data_are_reported(report, config, folder, "hstn", said)


def test_a_table_without_its_runs_is_kept(table, tmp_path):
    assert_table_without_its_runs_is_kept("table2", table[0], "affine_stn", tmp_path / "t")


def test_the_seed_of_a_run_is_that_of_its_weights(place):
    network = configuration.read(place / "small.toml").network("affine_stn", 3)[0]
    fresh = models.build("affine_stn", task="align", image_size=(32, 32), padding="same", rng=3)
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(network.state()[name], array)


def test_the_best_network_is_judged(place, tmp_path, monkeypatch):
    """Not the one that training ends with."""
    config = configuration.read(place / "small.toml")

    def fit(model, data, *, folder, **options):
        bias = model.localisation.layers[-1].bias
        bias.data = bias.data + np.float32([0, 0, 0.25, 0, 0, 0])  # a shift by an eighth of the image, along x
        model.save(folder / "best.h5")
        bias.data = bias.data - np.float32([0, 0, 0.25, 0, 0, 0])
        model.save(folder / "checkpoint.h5")
        epoch = SimpleNamespace(epoch=1, seconds=3.0)
        return SimpleNamespace(history=[epoch, epoch], best=epoch)

    monkeypatch.setattr(running, "fit", fit)
    running.prepare(config, tmp_path)
    assert running.train(config, tmp_path, only=["affine_stn"], quiet=True) == []
    found = json.loads((tmp_path / "affine_stn" / "seed-0" / "result.json").read_text())
    shift = np.array([0.25 * 31 / 2, 0]).reshape(1, 2, 1, 1) * np.ones((1, 2, 32, 32))
    expected = judging.judge(lambda s, t: shift.repeat(len(s), axis=0), config.data.open().test, batched=False)
    assert found["flow_epe"] == pytest.approx(expected["flow_epe"], rel=1e-4)
    assert (found["epochs"], found["best_epoch"], found["seconds"]) == (2, 1, 6.0)


def test_what_is_finished_is_not_run_again(table, monkeypatch):
    folder, _ = table
    monkeypatch.setattr(running, "fit", None)
    monkeypatch.setattr(running, "_flow", None)
    before = facts_of(folder)["rows"]
    run("table2", "--out", folder, "--quiet")
    assert facts_of(folder)["rows"] == before


def test_the_folder_of_the_images_may_move(place, table, tmp_path):
    folder, moved = shutil.copytree(table[0], tmp_path / "t"), shutil.copytree(place / "images", tmp_path / "moved")
    run("table2", "--out", folder, "--data", moved, "--quiet")
    assert facts_of(folder)["configuration"]["data"]["source"] == str(moved)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"seed": ', "not the result of a run: "),
        ("[]", "not the result of a run, it has no seed"),
        ('{"seed": 0}', "not the result of a run, it has no threads, .*image_epe_75"),
    ],
)
def test_a_damaged_result_is_named(table, tmp_path, content, says):
    folder = shutil.copytree(table[0], tmp_path / "t")
    (folder / "none" / "seed-0" / "result.json").write_text(content)
    with pytest.raises(DataError, match=f"none/seed-0/result.json: {says}"):
        report.collect(configuration.read(folder / "table2.toml"), folder)


def test_a_training_goes_on_where_it_was_stopped(place, table, tmp_path, monkeypatch):
    """Stopped after an epoch, it ends with the same weights as without the break."""
    config = configuration.read(place / "small.toml")
    running.prepare(config, tmp_path)
    calls = []

    def stopped(model, data, **options):
        calls.append(options["epochs"])
        return fit(model, data, **{**options, "epochs": 1})

    fit = running.fit
    with monkeypatch.context() as patch:
        patch.setattr(running, "fit", stopped)
        patch.setattr(running, "load_model", lambda path: (_ for _ in ()).throw(Interrupted("saved", 15)))
        with pytest.raises(Interrupted):
            running.train(config, tmp_path, only=["affine_stn"], quiet=True)
    assert calls == [2] and not (tmp_path / "affine_stn" / "seed-0" / "result.json").exists()
    assert report.collect(config, tmp_path)["rows"][3]["runs"][0]["status"] == "not finished"
    assert running.train(config, tmp_path, only=["affine_stn"], quiet=True) == []
    a, b = (models.load(folder / "affine_stn" / "seed-0" / "best.h5") for folder in (tmp_path, table[0]))
    for name, array in a.state().items():
        np.testing.assert_array_equal(b.state()[name], array)


def test_ctrl_c_says_how_to_go_on(place, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise Interrupted("saved", 15)

    monkeypatch.setattr(running, "fit", stopped)
    done = run(
        *("table2", "--config", place / "small.toml", "--out", tmp_path, "--only", "affine_stn", "--quiet"), code=143
    )
    assert done.stderr == f"\nhstn: stopped and saved; continue with: hstn table2 --out {tmp_path} --only affine_stn\n"


class Known:
    """Two pairs whose motion is a shift by (2, -1), read by SciPy."""

    image_size = (24, 24)

    def __len__(self):
        return 2

    def batch(self, indices, epoch=0):
        rng = np.random.default_rng(0)
        source = gaussian_filter(rng.random((2, 1, 24, 24)), (0, 0, 2, 2)).astype(np.float32)
        y, x = np.mgrid[:24, :24].astype(float)
        moved = [map_coordinates(image[0], (y - 1, x + 2), order=1, mode="nearest") for image in source]
        motion = np.broadcast_to(np.array([2, -1], np.float32).reshape(1, 2, 1, 1), (2, 2, 24, 24))
        return tuple(a[np.asarray(indices)] for a in (source, np.stack(moved)[:, None].astype(np.float32), motion))


def test_a_method_is_judged_by_what_its_motion_does():
    pairs = Known()
    source, target, truth = pairs.batch([0, 1])
    perfect = judging.judge(lambda s, t: truth[: len(s)], pairs, batched=False)
    assert judging.judge(None, pairs, batched=True) == perfect | {"seconds_1": None}
    assert perfect["image_epe_100"] < 1e-3 and perfect["flow_epe"] == 0 and perfect["below_1_pixel"] == 1
    still = judging.judge(judging.no_motion, pairs, batched=True)
    assert still["image_epe_75"] == pytest.approx(255 * abs(source - target)[..., 3:-3, 3:-3].mean(), rel=1e-5)
    assert still["image_epe_50"] == pytest.approx(image_epe(source, target, part=0.5).mean())
    assert still["flow_epe"] == pytest.approx(5**0.5) and still["flow_epe_median"] == pytest.approx(5**0.5)
    assert still["below_1_pixel"] == 0 and still["folding"] == 0 and still["pairs"] == 2
    assert still["seconds_64"] is not None and perfect["seconds_64"] is None
    half = judging.judge(
        lambda s, t: np.array([1, 0]).reshape(-1, 1, 1, 1)[: len(s)] * truth[: len(s)], pairs, batched=False
    )
    assert half["below_1_pixel"] == 0.5 and half["flow_epe"] == pytest.approx(5**0.5 / 2)


def test_a_time_is_that_of_one_pair(monkeypatch):
    """By a clock that a motion moves on by half a second a pair."""
    clock = [0.0]

    def motion(source, target):
        clock[0] += 0.5 * len(source)
        return judging.no_motion(source, target)

    monkeypatch.setattr(judging.time, "perf_counter", lambda: clock[0])
    found = judging.judge(motion, Known(), batched=True)
    assert (found["seconds_1"], found["seconds_64"]) == (0.5, 0.5)


def test_the_flow_of_the_paper_has_its_weights():
    source, target, _ = Known().batch([0, 1])
    of_paper, ours = (judging.FLOWS[name](source, target) for name in ("brox2004", "brox"))
    np.testing.assert_array_equal(of_paper, brox(source, target, preset="brox2004"))
    np.testing.assert_array_equal(ours, brox(source, target, preset="tuned"))
    assert not np.array_equal(ours, of_paper)


def test_every_flow_moves_the_source_onto_the_target():
    rng = np.random.default_rng(2)
    canvas = gaussian_filter(rng.random((1, 1, 60, 60)), (0, 0, 2, 2)).astype(np.float32)
    source, target = canvas[..., 8:52, 8:52], canvas[..., 7:51, 10:54]
    for name in judging.FLOWS.keys() - {"none", "truth"}:
        w = judging.FLOWS[name](source, target)
        assert w.shape == (1, 2, 44, 44)
        assert np.hypot(*(w[0] - np.array([2, -1]).reshape(2, 1, 1)))[10:-10, 10:-10].mean() < 0.1, name


def test_one_test_pair_is_enough_for_a_figure_and_a_seed_that_is_finished(table, tmp_path, undrawn, monkeypatch):
    folder = shutil.copytree(table[0], tmp_path / "t")
    (folder / "affine_stn" / "seed-0").rename(folder / "affine_stn" / "seed-5")
    config = configuration.read(folder / "table2.toml")
    config = replace(config, data=replace(config.data, pairs=8))
    drawn = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    undrawn(config, folder, report.collect(config, folder))
    grid = np.reshape(drawn[0].axes, (3, 5))
    assert [axes.get_title() for axes in grid[0]][2:] == ["Optical Flow (Brox)", "Affine-STN", "HSTN"]


def test_a_figure_that_cannot_be_drawn_leaves_the_table(table, tmp_path, monkeypatch):
    folder = shutil.copytree(table[0], tmp_path / "t")
    before = (folder / "table2.md").read_text()
    for name in ("table2.md", "table2.json"):
        (folder / name).unlink()

    def draw(*arguments):
        raise FileError("no room")

    monkeypatch.setattr(figures, "draw", draw)
    with pytest.raises(FileError, match="no room"):
        report.write(configuration.read(folder / "table2.toml"), folder)
    assert (folder / "table2.md").read_text() == before and len(facts_of(folder)["rows"]) == 5


def test_the_number_of_threads_is_reported(place, tmp_path):
    """Beside times, also where the configuration says none and all cores compute."""
    config = replace(configuration.read(place / "small.toml"), threads=None)
    running.train(config, tmp_path, only=["none"], quiet=True)
    report.write(config, tmp_path)
    assert f", {numba.config.NUMBA_NUM_THREADS} threads" in (tmp_path / "table2.md").read_text()


def test_the_table_says_when_networks_have_seen_the_images_of_the_test(table):
    facts, text = facts_of(table[0]), (table[0] / "table2.md").read_text()
    assert "images that the networks are trained with, which favours\nnetworks over flows: 5 images are" in text
    for row in facts["rows"]:
        row["runs"][0]["data"]["held_out"] = 4
    assert "favours" not in report.markdown(facts, {})


def test_the_figure_shows_every_method_three_times_a_pair(table, tmp_path, undrawn):
    folder, _ = table
    drawn = undrawn(configuration.read(folder / "table2.toml"), folder, facts_of(folder))
    assert set(drawn) == {"alignments.png"}
    with Image.open(folder / "alignments.png") as image:
        assert image.format == "PNG" and image.width > 300
    (folder / "alignments.png").unlink()
    pairs = Known()
    source, target, truth = pairs.batch([0, 1])
    figure = figures.alignments({"perfect": lambda s, t: truth[: len(s)]}, source, target, truth)
    grid = np.reshape(figure.axes, (6, 3))
    assert [axes.get_title() for axes in grid[0]] == ["source", "target", "perfect"]
    for pair in (grid[:3], grid[3:]):
        shown = [[axes.images[0].get_array() if axes.images else None for axes in row] for row in pair]
        np.testing.assert_allclose(shown[0][2], shown[0][1], atol=1e-5)
        assert shown[1][2].max() < 1e-5 < shown[1][0].max()
        np.testing.assert_array_equal(shown[2][1], shown[2][2])


def test_quick_says_everywhere_that_it_is_reduced(place, tmp_path):
    config = configuration.read(place / "small.toml").quick()
    assert (config.data.source, config.data.pairs, config.seeds) == ("embedded", 128, (0,))
    assert config.network("affine_stn", 0)[1].epochs == 2
    running.prepare(config, tmp_path)
    facts = report.write(config, tmp_path)
    assert facts["reduced"] and report.REDUCED in (tmp_path / "table2.md").read_text()


def test_hstn_is_compared_with_the_best_flow_of_the_paper(table):
    facts = facts_of(table[0])
    row, errors = facts["rows"][0], {"sift_flow": 8.0, "brox": 6.0, "ldof": 7.0, "brox_tuned": 1.0, "hstn": 2.0}
    rows = [{**row, "row": name, "image_epe_75": {"mean": error, "spread": None}} for name, error in errors.items()]
    text = report.markdown({**facts, "rows": rows}, {})
    assert "flows, Optical Flow (Brox), is 3.00 times that of HSTN" in text
    assert "times that of HSTN" not in report.markdown({**facts, "rows": rows[:-1]}, {})


@pytest.mark.parametrize("name", configuration.SHIPPED)
def test_the_configurations_of_the_package_have_the_rows_of_the_paper(name):
    config = configuration.read(name)
    others = set() if name == "short" else {"hstn_smooth"}
    assert set(report.PAPER) < set(config.rows) == set(report.TITLES) - others
    assert config.rows["hstn"].localisation_from == "affine_stn"
    assert {row for row, settings in config.rows.items() if settings.flow == "brox2004"} == {"brox"}
    assert config.network("c_stn_4", 0)[0].options["steps"] == 4
    assert all(config.network(row, 0)[0].task == "align" for row in config.rows if not config.rows[row].flow)


def test_the_recipe_of_the_paper():
    training = configuration.read("paper").network("hstn", 0)[1]
    assert (training.lr, training.epochs, training.schedule) == (1e-4, 150, "plateau")


def test_a_flow_runs_once_and_a_network_for_every_seed(place):
    config = replace(configuration.read(place / "small.toml"), seeds=(0, 4))
    assert config.runs() == [
        (0, "none"),
        (0, "truth"),
        (0, "brox"),
        *((s, n) for s in (0, 4) for n in ("affine_stn", "hstn")),
    ]
    assert config.runs(["hstn", "brox"], [7]) == [(0, "brox"), (7, "affine_stn"), (7, "hstn")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('model = "affine_stn"', 'model = "afine_stn"'), "rows.affine_stn: unknown model 'afine_stn', expected one"),
        (('flow = "brox2004"', 'flow = "brox2000"'), "rows.brox.flow: unknown 'brox2000'; did you mean brox2004"),
        (('flow = "brox2004"', 'flow = "brox"\nmodel = "cnn"'), "rows.brox: a flow has no other settings"),
        (('model = "affine_stn"', 'model = "cnn"'), "rows.affine_stn: cnn has no option"),
        (("rotation = 5.0", "rotatoin = 5.0"), "unknown key 'data.deformation.rotatoin'; did you mean"),
        (("batch_size = 8", "seed = 8"), "training.seed: the seeds of a table are its key seeds"),
        (("localisation = 0.5", "localization = 0.5"), "training.lr_multipliers: no network has 'localization'; did"),
        (("image_size = 32", "image_sise = 32"), "unknown key 'data.image_sise'; did you mean data.image_size"),
        (("seeds = [0]", "seeds = [-1]"), "seeds is [-1], expected different numbers from 0"),
        (('from = "affine_stn"', 'from = "brox"'), "rows.hstn.localisation_from is 'brox', which is a flow"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_one_sentence(place, tmp_path, change, message):
    assert_configuration_refused("table2", SMALL.format(folder=place), change, tmp_path, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--config {place}/small.toml --only tps", "there is no row 'tps'"),
        ("--report --out {place}/nothing", "there is no table in {place}/nothing: it has no table2.toml"),
        ("--config short --out {place}/t", "{place}/t/table2.toml has "),
        ("--config {place}/small.toml --data {place}/gone", "{place}/gone: there is no such folder"),
        ("--data {place}/images --out {place}/t --config {place}/other.toml", "{place}/t/table2.toml has data.pairs"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_sentence(place, table, tmp_path, arguments, message):
    (place / "other.toml").write_text(SMALL.format(folder=place).replace("pairs = 16", "pairs = 24"))
    assert_call_refused("table2", arguments, place, tmp_path, message)

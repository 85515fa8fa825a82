"""The table on a few images: end to end, after interruptions, from a part, and every error as one sentence."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hstn_ref import checkpoint, models, runs
from hstn_ref import config as run_configuration
from hstn_ref.data import ArrayDataset, DataSplits, open_data, write_dataset
from hstn_ref.errors import FileError
from hstn_ref.plots import WRONG
from hstn_ref.stopping import Interrupted
from hstn_ref.table1 import configuration, figures, flows, report, running
from hstn_ref.table1.configuration import RowConfig

from .tables import (
    assert_call_refused,
    assert_configuration_refused,
    assert_other_seeds_and_data_are_reported,
    assert_table_without_its_runs_is_kept,
)
from .test_cli import error_of, kill_after, run
from .toy import everything

SMALL = """
seeds = [0, 1]
threads = 1
[data]
source = "{folder}/d.h5"
[training]
epochs = 1
batch_size = 8
lr_multipliers = {{ localisation = 0.5, flow_generator = 0.3 }}
checkpoint_minutes = 0
[options]
dropout = 0.25
[rows.cnn]
model = "cnn"
[rows.affine_stn]
model = "affine_stn"
training = {{ epochs = 2 }}
[rows.flow]
model = "hstn"
options = {{ preset = "tiny", alpha = 0.0 }}
localisation_from = "affine_stn"
"""
FILES = {"table1.toml", "table1.md", "table1.json"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 16 images of 36 x 36 pixels in each split, and the configuration of a small table."""
    folder = tmp_path_factory.mktemp("table1")
    rng = np.random.default_rng(1)
    shapes = rng.integers(0, 256, (3, 16, 36, 36), dtype=np.uint8)
    splits = (ArrayDataset(images, np.arange(16) % 10) for images in shapes)
    write_dataset(folder / "d.h5", DataSplits(*splits, {}))
    (folder / "small.toml").write_text(SMALL.format(folder=folder))
    return folder


@pytest.fixture(scope="module", autouse=True)
def undrawn():
    """Drawing takes most of the time: once is enough. Yields the function that draws the figures of a table."""
    draw = figures.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw", lambda *arguments: {})
        patch.setattr(runs, "_draw", lambda *arguments: None)
        yield draw


@pytest.fixture(scope="module")
def table(place):
    """The folder of a table, finished but for two runs, and what was printed."""
    arguments = ["table1", "--config", place / "small.toml", "--out", place / "t", "--quiet"]
    run(*arguments, "--only", "cnn", "--seeds", "1")
    return place / "t", run(*arguments, "--seeds", "0").output


def facts_of(folder):
    return json.loads((folder / "table1.json").read_text())


def test_a_table_is_trained_and_written(table):
    folder, shown = table
    assert {path.name for path in folder.iterdir()} == {*FILES, "cnn", "affine_stn", "flow"}
    facts = facts_of(folder)
    assert [row["title"] for row in facts["rows"]] == ["CNN", "Affine-STN", "flow"]
    text = (folder / "table1.md").read_text()
    assert "reduced" not in text.lower() and facts["reduced"] is False
    for row, epochs in zip(facts["rows"], ([1, 1], [2], [1]), strict=True):
        results = [
            json.loads((folder / row["row"] / f"seed-{seed}" / "result.json").read_text())
            for seed in range(row["finished"])
        ]
        assert [sum(result["epochs"].values()) for result in results] == epochs
        for key in ("accuracy", "cross_entropy"):
            values = [result[key] for result in results]
            assert row[key]["mean"] == pytest.approx(np.mean(values))
            spread = np.std(values, ddof=1) if len(values) > 1 else None
            assert row[key]["spread"] == (spread if spread is None else pytest.approx(spread))
        assert f"{row['parameters']:,}" in text and f"{row['parameters']:,}" in shown
        done = row["runs"][: row["finished"]]
        for found, result in zip(done, results, strict=True):
            history = found["history"]["valid_accuracy"]
            assert len(history) == list(result["epochs"].values())[-1]
            assert max(history) == pytest.approx(result["valid_accuracy"], abs=1e-5)
        assert all(run["command"] and run["machine"]["numpy"] for run in done)
        assert [run["seed"] for run in row["runs"]] == [0, 1]
    assert [run["status"] for run in facts["rows"][2]["runs"]] == ["finished", "not started"]
    assert facts["rows"][0]["paper"] == {"cross_entropy": 0.1560, "accuracy": 0.9508}
    assert facts["rows"][2]["paper"] is None
    assert text.count("| finished |") == 1 and text.count("| **1 of 2 runs finished** |") == 2


def test_every_network_is_shown_with_the_same_ten_images(place):
    networks = {name: models.build(name, image_size=(36, 36)).eval() for name in ("cnn", "affine_stn")}
    figure = figures.transformers(networks, open_data(place / "d.h5").test)
    grid = np.reshape(figure.axes, (3, 10))
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["input", "cnn", "affine_stn"]
    for true, *found in ([axes.title for axes in column] for column in grid.T):
        assert [t.get_color() == WRONG for t in found] == [t.get_text() != true.get_text() for t in found]
    for column in grid.T:  # untrained networks move nothing
        first, *others = (axes.images[0].get_array() for axes in column)
        assert all(np.array_equal(first, other) for other in others)
    assert [len(axes.collections) for axes in grid[:, 0]] == [0, 0, 2]  # the lines of x and of y


def test_the_grid_is_drawn_where_it_was_moved_to():
    """p takes its value from p + (2, 0), so the lines x = 3, 9, ... of the image are seen 2 pixels to the left."""
    axes = figures.Figure().subplots()
    figures._draw_grid(axes, np.broadcast_to(np.array([2.0, 0.0]).reshape(2, 1, 1), (2, 20, 30)))
    along_x, along_y = (np.concatenate([path.vertices for path in c.get_paths()]) for c in axes.collections)
    assert np.unique(along_x[:, 0].round(6)).tolist() == [1, 7, 13, 19, 25]
    assert np.unique(along_y[:, 1].round(6)).tolist() == [3, 9, 15]


def test_the_confusion_shows_errors_only():
    matrix = np.diag(np.full(10, 7)) + 2 * np.eye(10, k=1, dtype=int)
    figure = figures.confusion({"a": matrix})
    assert figure.axes[0].get_title() == "a: 18 errors of 88"
    assert {text.get_text() for text in figure.axes[0].texts} == {"2"}


class Flowing:
    """A network whose flow is the same for every image."""

    def __init__(self, w):
        self.w, self.seen = w, 0

    def stages(self, images):
        self.seen += len(images)
        return {"flow": np.repeat(self.w[None], len(images), axis=0)}


def test_a_flow_is_measured_by_its_definition():
    """u = x^2 / 8, v = -2 y on 5 x 4 pixels: gradients (2 x + 1) / 8 and 2, laplacian 1/4; v mirrors, so all folds."""
    y, x = np.mgrid[:5, :4].astype(np.float32)
    dataset = ArrayDataset(np.zeros((300, 5, 4), np.uint8), np.zeros(300, int))
    network = Flowing(np.stack([x**2 / 8, -2 * y]))
    found = flows.measure(network, dataset)
    assert network.seen == 256
    lengths = [((j * j / 8) ** 2 + (2 * i) ** 2) ** 0.5 for i in range(5) for j in range(4)]
    assert found["length"] == pytest.approx(sum(lengths) / 20)
    assert found["smoothness"] == pytest.approx((1 + 3 + 5) / 8 / 3 + 2)
    assert (found["bending_energy"], found["folding"]) == (0.25, 1.0)
    assert flows.measure(Flowing(np.zeros((2, 5, 4))), dataset)["folding"] == 0


@pytest.fixture
def two_of_hstn(table, tmp_path):
    """A table with a second row of HSTN, whose network is that of the first; its configuration and its folder."""
    folder = shutil.copytree(table[0], tmp_path / "t")
    config = configuration.read(folder / "table1.toml")
    row = replace(config.rows["flow"], options={"preset": "tiny", "alpha": 0.5}, localisation_from=None)
    shutil.copytree(folder / "flow", folder / "other")
    path = folder / "other" / "seed-0" / "result.json"
    result = json.loads(path.read_text())
    result["options"]["alpha"] = 0.5
    path.write_text(json.dumps(result))
    return replace(config, title="Two flows", rows={**config.rows, "other": row}), folder


def test_several_rows_of_hstn_are_compared(two_of_hstn):
    config, folder = two_of_hstn
    facts = report.write(config, folder)
    first, other = facts["flows"]
    assert first["settings"] == {"alpha": 0.0, "begins with": "affine_stn"}
    assert other["settings"] == {"alpha": 0.5, "begins with": "nothing"}
    assert first["length"] == other["length"] > 0
    text = (folder / "table1.md").read_text()
    assert text.startswith("# Two flows\n") and text.count(f"| {first['length']:.3g} |") == 2
    assert "| other | 0.5 | nothing |" in text
    assert json.loads((folder / "table1.json").read_text())["flows"] == facts["flows"]


@pytest.mark.parametrize("row", ["flow", "other"])
def test_an_option_that_only_one_row_has_is_compared(two_of_hstn, row):
    config, folder = two_of_hstn
    path = folder / row / "seed-0" / "result.json"
    result = json.loads(path.read_text())
    result["options"]["depth"] = 3
    path.write_text(json.dumps(result))
    found = {compared["row"]: compared["settings"]["depth"] for compared in report.write(config, folder)["flows"]}
    assert found == {"flow": None, "other": None, row: 3}


def test_the_figures_of_a_table(two_of_hstn, undrawn):
    config, folder = two_of_hstn
    drawn = undrawn(config, folder, report.write(config, folder))
    assert set(drawn) == {"curves.png", "transformers.png", "confusion.png", "flows.png"}
    for name in drawn:
        with Image.open(folder / name) as image:
            assert image.format == "PNG" and image.width > 300


def test_one_row_of_hstn_is_not_compared(table):
    assert facts_of(table[0])["flows"] == []
    assert "## The flows" not in (table[0] / "table1.md").read_text()


def test_every_flow_is_shown_beside_what_the_classifier_sees(place):
    networks = {name: models.HSTN("tiny", image_size=(36, 36)).eval() for name in ("a", "b")}
    moves = {"localisation.12.bias": np.array([1, 0, 2 / 17.5, 0, 1, 0], np.float32)}  # by 2 pixels along x
    networks["b"].load_state(networks["b"].state() | moves)
    figure = figures.flows(networks, open_data(place / "d.h5").test)
    grid = np.reshape(figure.axes, (3, 9))
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["input", "a", "b"]
    for row, shift in zip(grid[1:], (0, 2), strict=True):
        for given, warped, flow in zip(grid[0, :-1:2], row[:-1:2], row[1::2], strict=True):
            expected, found = (axes.images[0].get_array() for axes in (given, warped))
            np.testing.assert_allclose(found[:, : 36 - shift], expected[:, shift:], atol=1e-5)
            assert np.all(np.asarray(flow.images[0].get_array()) == 1)  # white: the flow of an untrained network
        assert row[-1].texts[0].get_text() == "rim: 1 px"


def test_the_options_and_rates_of_a_row_are_its_own(table):
    folder, _ = table
    saved = {row: run_configuration.read(folder / row / "seed-0" / "config.toml") for row in ("cnn", "flow")}
    assert saved["cnn"].training.lr_multipliers == {}
    assert saved["flow"].training.lr_multipliers == {"localisation": 0.5, "flow_generator": 0.3}
    assert saved["cnn"].model.options["dropout"] == saved["flow"].model.options["dropout"] == 0.25
    assert (saved["flow"].training.seed, saved["flow"].model.options["alpha"]) == (0, 0.0)
    assert saved["flow"].pretraining.localisation_from == str(folder / "affine_stn" / "seed-0" / "best.h5")


def test_hstn_begins_with_the_run_of_its_row(place, tmp_path):
    """With a rate that changes nothing, its localisation network is that of the Affine-STN of the same seed."""
    text = SMALL.format(folder=place).replace("checkpoint_minutes", "lr = 1e-60\ncheckpoint_minutes")
    (tmp_path / "c.toml").write_text(text)
    run("table1", "--config", tmp_path / "c.toml", "--out", tmp_path, "--only", "flow", "--seeds", "1", "--quiet")
    assert not (tmp_path / "cnn").exists()
    first, hstn = (models.load(tmp_path / row / "seed-1" / "best.h5") for row in ("affine_stn", "flow"))
    for name, array in first.localisation.state().items():
        np.testing.assert_array_equal(hstn.localisation.state()[name], array)


def test_a_finished_table_is_not_trained_again(table, monkeypatch):
    folder, _ = table
    monkeypatch.setattr("hstn_ref.runs.train", None)
    before = facts_of(folder)["rows"]
    run("table1", "--out", folder, "--seeds", "0", "--quiet")
    assert facts_of(folder)["rows"] == before


def test_a_table_killed_in_the_middle_ends_with_the_same_bits(place, table, tmp_path):
    """Killed without warning in the second run; the third begins with it."""
    begin = ["table1", "--config", str(place / "small.toml"), "--out", str(tmp_path / "t"), "--seeds", "0"]
    assert kill_after("epoch 1/2", begin)
    assert facts_of(tmp_path / "t")["rows"][0]["finished"] == 1  # reported when it was finished
    run("table1", "--out", tmp_path / "t", "--report", "--quiet")
    row = facts_of(tmp_path / "t")["rows"][1]
    assert (row["accuracy"], row["finished"]) == (None, 0)
    assert row["runs"][0]["status"].endswith("of at most 2 epochs")
    run("table1", "--out", tmp_path / "t", "--seeds", "0", "--quiet")
    for row in ("cnn", "affine_stn", "flow"):
        assert everything(tmp_path / "t" / row / "seed-0") == everything(table[0] / row / "seed-0")
        a, b = (checkpoint.read(folder / row / "seed-0" / "best.h5").weights for folder in (tmp_path / "t", table[0]))
        assert all(np.array_equal(a[name], b[name]) for name in b)
    assert "**1 of 2 runs finished**" in (tmp_path / "t" / "table1.md").read_text()


def test_a_folder_that_was_moved_goes_on(table, tmp_path, monkeypatch):
    """HSTN has begun with a network at a path that is gone."""
    folder = shutil.copytree(table[0], tmp_path / "moved")
    run_of = folder / "flow" / "seed-0"
    (run_of / "result.json").unlink()
    met = []
    monkeypatch.setattr("hstn_ref.runs.train", lambda run, *arguments, resume, **options: met.append((run, resume)))
    running.train(configuration.read(folder / "table1.toml"), folder, seeds=[0], quiet=True)
    ((config, resume),) = met
    begun = run_configuration.read(run_of / "config.toml")
    assert resume and config.pretraining == begun.pretraining != run_configuration.PretrainingConfig()


def test_seeds_beyond_the_configuration_and_other_data_are_reported(table, tmp_path):
    folder = shutil.copytree(table[0], tmp_path / "t")
    config = configuration.read(folder / "table1.toml")
    assert_other_seeds_and_data_are_reported(report, config, folder, "cnn", "| 0, 1, 7 | finished |")


@pytest.mark.parametrize("checksum", ["source_sha256", "images_sha256"])
def test_the_same_data_from_another_folder_are_the_same(table, tmp_path, checksum):
    folder = shutil.copytree(table[0], tmp_path / "t")
    for seed, name in ((0, "here"), (1, "there")):
        path = folder / "cnn" / f"seed-{seed}" / "result.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "data": {"source": name, checksum: "ab"}}))
    (folder / "affine_stn" / "seed-0" / "result.json").unlink()
    (folder / "flow" / "seed-0" / "result.json").unlink()
    facts = report.collect(configuration.read(folder / "table1.toml"), folder) | {"flows": []}
    assert "cannot be compared" not in report.markdown(facts, {})


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_result_is_named(table, tmp_path, text):
    folder = shutil.copytree(table[0], tmp_path / "t")
    path = folder / "cnn" / "seed-0" / "result.json"
    path.write_text(text)
    assert error_of("table1", "--out", folder, "--report").startswith(f"{path}: not the result of a run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('source = "{folder}/d.h5"', 'source = "nowhere"'), "cannot read nowhere"),
        (
            ("[rows.flow]", '[rows.small]\nmodel = "cnn"\noptions = {{ image_size = [30, 30] }}\n[rows.flow]'),
            "model.options.image_size is [30, 30], ",
        ),
    ],
)
def test_what_would_end_a_table_later_ends_it_before_anything_is_written(place, tmp_path, change, message):
    assert change[0] in SMALL
    (tmp_path / "c.toml").write_text(SMALL.replace(*change).format(folder=place))
    assert error_of("table1", "--config", tmp_path / "c.toml", "--out", tmp_path / "t").startswith(message)
    assert not (tmp_path / "t").exists()


def test_a_report_leaves_the_configuration_alone(table, tmp_path):
    folder = shutil.copytree(table[0], tmp_path / "t")
    before = (folder / "table1.toml").read_bytes()
    run("table1", "--out", folder, "--report", "--data", "nowhere", "--quiet")
    assert (folder / "table1.toml").read_bytes() == before


def test_a_table_without_its_runs_is_kept(table, tmp_path):
    assert_table_without_its_runs_is_kept("table1", table[0], "cnn", tmp_path / "t")


def test_a_report_does_not_replace_what_is_no_table(table, tmp_path):
    folder = shutil.copytree(table[0], tmp_path / "t")
    (folder / "table1.json").write_text('{"rows": 3}')
    message = error_of("table1", "--out", folder, "--report")
    assert message.startswith(f"{folder}/table1.json is not a table that hstn wrote")


def test_a_table_without_runs_may_become_another(place, tmp_path):
    config = configuration.read(place / "small.toml")
    running.prepare(config, tmp_path)
    running.prepare(replace(config, training={**config.training, "epochs": 3}), tmp_path)
    assert tomllib.loads((tmp_path / "table1.toml").read_text())["training"]["epochs"] == 3


def test_a_report_of_nothing_says_so(place, tmp_path):
    config = configuration.read(place / "small.toml")
    running.prepare(config, tmp_path)
    shown = run("table1", "--out", tmp_path, "--report", "--quiet").output
    assert shown.count("0 of 2 runs finished") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"table1.toml", "table1.md", "table1.json"}


def test_a_run_that_diverges_does_not_stop_the_others(place, tmp_path):
    config = replace(configuration.read(place / "small.toml"), seeds=(0,))
    rows = {**config.rows, "affine_stn": replace(config.rows["affine_stn"], training={"lr": 1e30})}
    config = replace(config, rows={name: rows[name] for name in ("affine_stn", "flow", "cnn")})
    running.prepare(config, tmp_path)
    failed = running.train(config, tmp_path, quiet=True)
    assert len(failed) == 2
    assert failed[0].startswith("affine_stn, seed 0: epoch 1, ")
    assert failed[1] == "flow, seed 0: it begins with affine_stn of the same seed, which is not finished"
    assert running.finished(tmp_path, "cnn", 0)


def test_quick_says_everywhere_that_it_is_reduced(place, tmp_path, monkeypatch):
    small = open_data(place / "d.h5")
    monkeypatch.setattr("hstn_ref.runs.open_data", lambda *arguments, **options: small)
    done = run("table1", "--config", place / "small.toml", "--quick", "--only", "cnn", "--out", tmp_path)
    assert "REDUCED TABLE, run 1 of 1: cnn, seed 0" in done.stderr
    assert "REDUCED: few images, few epochs" in " ".join(done.stdout.split())
    assert report.REDUCED in (tmp_path / "table1.md").read_text()
    assert facts_of(tmp_path)["reduced"] is True
    result = json.loads((tmp_path / "cnn" / "seed-0" / "result.json").read_text())
    assert result["data"]["only_the_first"] == 512
    assert result["epochs"] == {"cnn": 2}
    message = error_of("table1", "--config", place / "small.toml", "--out", tmp_path)
    assert message.startswith(f"{tmp_path}/table1.toml has ")


def test_quick_is_two_epochs_of_one_seed_for_every_row(place):
    config = configuration.read(place / "small.toml")
    slow = replace(config.rows["affine_stn"], training={"epochs": 9, "lr": 0.5, "restarts": 2})
    training = {**config.training, "lr": 0.25}
    quick = replace(config, training=training, rows={**config.rows, "affine_stn": slow}).quick()
    found = [quick.run(row, 0).training for row in quick.rows]
    assert [(training.epochs, training.lr) for training in found] == [(2, 0.25), (2, 0.5), (2, 0.25)]
    assert {training.restarts for training in found} == {0}
    assert quick.seeds == (0,) and (quick.data.source, quick.data.images) == ("embedded", 512)


def test_ctrl_c_says_how_to_go_on(place, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise Interrupted("saved", 15)

    monkeypatch.setattr("hstn_ref.runs.train", stopped)
    chosen = "--only cnn --seeds 0,1"
    done = run("table1", "--config", place / "small.toml", "--out", tmp_path, *chosen.split(), "--quiet", code=143)
    assert done.stderr == f"\nhstn: stopped and saved; continue with: hstn table1 --out {tmp_path} {chosen}\n"


@pytest.mark.parametrize("name", ["paper", "short"])
def test_the_configurations_of_the_package_have_the_rows_of_the_paper(name):
    config = configuration.read(name)
    assert list(config.rows) == list(models.TABLE_1) == list(report.PAPER) == list(report.TITLES)
    for row, (model, options) in models.TABLE_1.items():
        made = config.run(row, 0).model
        assert made.name == model and options.items() <= made.options.items()
    assert config.rows["hstn"].localisation_from == "affine_stn"


def test_the_ablation_changes_one_thing_at_a_time():
    """But for the row without any penalty; it says that it is reduced."""
    config = configuration.read("ablation")
    paper = {"alpha": 0.01, "beta": 1.0, "norm": "l1"}
    made = {row: config.run(row, 0).model.options for row in config.rows if config.rows[row].model == "hstn"}
    found = {row: {name: x for name, x in options.items() if paper.get(name, x) != x} for row, options in made.items()}
    assert found == {
        "hstn": {}, "beta_0": {"beta": 0}, "beta_10x": {"beta": 10}, "alpha_0": {"alpha": 0},
        "alpha_10x": {"alpha": 0.1}, "no_penalty": {"alpha": 0, "beta": 0}, "norm_l2": {"norm": "l2"},
        "norm_squared": {"norm": "squared"}, "no_first_stage": {},
    }  # fmt: skip
    afresh = [row for row in made if config.rows[row].localisation_from is None]
    assert afresh == ["no_first_stage"] and config.run("no_first_stage", 0).pretraining.epochs == 0
    assert config.reduced and config.data.images == 8000


def test_the_paper_is_the_default():
    found = configuration.read().run("hstn", 0)
    assert (found.training.lr, found.model.options["dropout"]) == (1e-4, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('model = "cnn"', 'model = "cmm"'), "rows.cnn: unknown model 'cmm', expected one of cnn, "),
        (("[options]", "[option]"), "unknown key 'option'; did you mean options?"),
        (("batch_size = 8", "batch_sise = 8"), "rows.cnn: unknown key 'training.batch_sise'; did you mean"),
        (("batch_size = 8", "batch_size = 0"), "rows.cnn: training.batch_size is 0, expected at least 1"),
        (("batch_size = 8", "seed = 8"), "training.seed: the seeds of a table are its key seeds"),
        (("localisation = 0.5", "localization = 0.5"), "training.lr_multipliers: no network has 'localization'; did"),
        (("seeds = [0, 1]", "seeds = [0, 0]"), "seeds is [0, 0], expected different numbers from 0"),
        (('from = "affine_stn"', 'from = "affine"'), "rows.flow.localisation_from is 'affine', expected the name of"),
        (('model = "affine_stn"', 'model = "affine_stn"\nlocalisation_from = "cnn"'), "rows.affine_stn.localis"),
        (('model = "cnn"', 'model = "hstn"\nlocalisation_from = "flow"'), "rows.cnn.localisation_from is 'flow', exp"),
        (("[rows.cnn]", '[rows."../x"]'), "rows.../x: the name is that of a folder"),
        (("[rows.", "[[rows."), "the file is not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_one_sentence(place, tmp_path, change, message):
    assert_configuration_refused("table1", SMALL.format(folder=place), change, tmp_path, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--config nope.toml", "cannot read the configuration nope.toml: No such file"),
        ("--config {place}/small.toml --only hstn", "there is no row 'hstn'; known are cnn, affine_stn, flow"),
        ("--report --out {place}/nothing", "there is no table in {place}/nothing: it has no table1.toml"),
        ("--config short --out {place}/t", "{place}/t/table1.toml has "),
        ("--config {place}/small.toml --out {place}/d.h5/t", "cannot write {place}/d.h5/t/table1.toml"),
        ("--config {place}/small.toml --threads 99", "threads is 99, expected 1 to"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_sentence(place, table, tmp_path, arguments, message):
    assert_call_refused("table1", arguments, place, tmp_path, message)


def test_seeds_that_are_no_numbers_are_wrong_usage(tmp_path):
    assert "'0,a' is not of the form 0,1,2" in run("table1", "--seeds", "0,a", code=2).stderr


def test_rows_may_be_added_and_other_settings_not(place, table, tmp_path):
    folder, _ = table
    text = (folder / "table1.toml").read_text()
    added = configuration.read(folder / "table1.toml")
    rows = {**added.rows, "more": replace(added.rows["cnn"], options={"padding": "same"})}
    running.prepare(replace(added, rows=rows), folder)
    assert "more" in tomllib.loads((folder / "table1.toml").read_text())["rows"]
    (folder / "table1.toml").write_text(text)
    with pytest.raises(ValueError, match=r"table1\.toml has training\.epochs = 1; choose another folder .* with 3"):
        running.prepare(replace(added, training={**added.training, "epochs": 3}), folder)


def test_a_row_comes_with_all_that_it_begins_with():
    rows = {name: RowConfig("hstn", localisation_from=source) for name, source in (("a", None), ("b", "a"), ("c", "b"))}
    assert configuration.select(rows, ["c"]) == ["a", "b", "c"]
    assert configuration.select(rows, ["b"]) == ["a", "b"]


def test_a_run_that_a_full_disk_stopped_goes_on(place, tmp_path, monkeypatch):
    """Between the first best.h5 and the first checkpoint.h5."""
    config, write = configuration.read(place / "small.toml"), checkpoint.write
    config = replace(config, training={**config.training, "checkpoint_minutes": 60.0})
    running.prepare(config, tmp_path)

    def full(contents, path, *rest):
        if Path(path).name == "checkpoint.h5":
            raise FileError(f"cannot write {path}: No space left on device")
        return write(contents, path, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write", full)
        with pytest.raises(FileError, match="No space left"):
            running.train(config, tmp_path, only=["cnn"], seeds=[0], quiet=True)
    assert (tmp_path / "cnn" / "seed-0" / "best.h5").exists()
    assert not (tmp_path / "cnn" / "seed-0" / "checkpoint.h5").exists()
    assert running.train(config, tmp_path, only=["cnn"], seeds=[0], quiet=True) == []

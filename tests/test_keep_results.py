"""scripts/keep_results.py: what goes to the pages and what into the package, of runs and of a table."""

import importlib.util
import json
from pathlib import Path

import pytest

from hstn_ref import checkpoint, models

SPEC = importlib.util.spec_from_file_location("keep_results", Path(__file__).parents[1] / "scripts" / "keep_results.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def finished(folder, name, valid_accuracy=0.5, seed=0, **options):
    """The folder of a run as `hstn train` leaves it; of its results what the script reads."""
    folder.mkdir(parents=True)
    model = models.build(name, image_size=(36, 36), rng=seed, **options)
    model.save(folder / "best.h5")
    for file in ("config.toml", "history.jsonl", "curves.png", "stages.png", "checkpoint.h5"):
        (folder / file).write_text(file)
    numbers = {"accuracy": 0.25, "cross_entropy": 1.5, "valid_accuracy": valid_accuracy, "images": 16}
    facts = {"title": model.title, "seed": seed, "parameters": 7, "epochs": {name: 1}, "data": {}, "commit": "abc"}
    facts |= {"threads": 1, "machine": {"processor": "a"}}
    (folder / "result.json").write_text(json.dumps({**numbers, **facts, "command": f"hstn train --seed {seed}"}))


@pytest.fixture
def table(tmp_path):
    folder = tmp_path / "runs" / "table1"
    finished(folder / "cnn" / "seed-0", "cnn", 0.5)
    finished(folder / "cnn" / "seed-1", "cnn", 0.75, seed=1)
    finished(folder / "cnn" / "seed-2", "cnn", 0.75, seed=2)
    for steps in (2, 4):
        finished(folder / f"c_stn_{steps}" / "seed-0", "c_stn", steps=steps)
    finished(folder / "variant" / "seed-0", "cnn", 0.625)
    (folder / "table1.json").write_text('{"reduced": false}')
    (folder / "table1.toml").write_text("")
    (folder / "table1.md").write_text("# Table 1\n![curves](curves.png)\n![a.png](b.png) and [text](page.md)\n")
    for name in ("curves.png", "b.png"):
        (folder / name).write_text(name)
    return folder


def test_a_table_becomes_a_page_with_its_figures(table, tmp_path):
    script.main([str(table), str(tmp_path / "results" / "table1")], tmp_path / "weights")
    page = (tmp_path / "results" / "table1.md").read_text()
    assert page == "# Table 1\n![curves](table1/curves.png)\n![a.png](table1/b.png) and [text](page.md)\n"
    kept = {path.name for path in (tmp_path / "results" / "table1").iterdir()}
    seen = {f"{title}_stages.png" for title in ("cnn", "c_stn_2", "c_stn_4", "variant")}
    assert kept == {"table1.toml", "table1.json", "curves.png", "b.png", *seen}
    assert not (tmp_path / "weights").exists()


def test_the_best_of_every_kind_of_network_is_shipped(table, tmp_path, capsys):
    weights = tmp_path / "weights"
    script.main([str(table), str(tmp_path / "kept"), "--weights"], weights)
    assert {path.name for path in weights.iterdir()} == {"cnn.h5", "c_stn_2.h5", "c_stn_4.h5"}
    assert models.load(weights / "c_stn_2.h5").steps == 2
    found, wanted = (checkpoint.read(path) for path in (weights / "cnn.h5", table / "cnn" / "seed-1" / "best.h5"))
    assert {name: w.tobytes() for name, w in found.weights.items()} == {
        name: w.tobytes() for name, w in wanted.weights.items()
    }
    assert (found.origin["command"], found.origin["seed"], found.origin["accuracy"]) == ("hstn train --seed 1", 1, 0.25)
    size = sum(path.stat().st_size for path in weights.iterdir())
    assert f"{size / 1e6:.1f} MB" in capsys.readouterr().out


def test_of_table_2_the_aligning_network_is_shipped_and_pictures_may_stay_behind(tmp_path):
    folder = tmp_path / "runs" / "table2"
    for seed in (0, 1):
        finished(folder / "hstn_smooth" / f"seed-{seed}", "hstn", seed=seed, task="align", preset="tiny")
    (folder / "table2.json").write_text('{"reduced": false}')
    (folder / "table2.toml").write_text("")
    (folder / "table2.md").write_text("# Table 2\n\n![test pairs](alignments.png)\n\n## The runs\n")
    (folder / "alignments.png").write_text("")
    script.main([str(folder), str(tmp_path / "kept"), "--weights"], tmp_path / "weights")
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"align.h5"}
    assert checkpoint.read(tmp_path / "weights" / "align.h5").origin["command"] == "hstn train --seed 0"
    assert "](kept/alignments.png)" in (tmp_path / "kept.md").read_text()
    script.main([str(folder), str(tmp_path / "bare"), "--without-pictures"])
    assert (tmp_path / "bare.md").read_text() == "# Table 2\n\n## The runs\n"
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {"table2.json", "table2.toml"}


def test_runs_are_kept_by_their_folder_and_shipped_by_their_title(tmp_path, capsys):
    for steps in (2, 4):
        finished(tmp_path / "runs" / f"run_{steps}", "ic_stn", steps=steps)
    script.main([str(tmp_path / "runs"), str(tmp_path / "kept"), "--weights"], tmp_path / "weights")
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"ic_stn_2.h5", "ic_stn_4.h5"}
    kept = {path.name for path in (tmp_path / "kept" / "run_2").iterdir()}
    assert kept == {"config.toml", "history.jsonl", "result.json", "curves.png", "stages.png"}
    assert "| ic_stn_4 | 0.2500 | 1.5000 | 7 | 1 | `hstn train --seed 0` |" in capsys.readouterr().out


def test_of_runs_too_the_best_is_shipped_and_what_aligns_has_its_own_table(tmp_path, capsys):
    runs = tmp_path / "runs"
    for name, valid_accuracy in (("a_good", 0.9), ("b_bad", 0.1)):
        finished(runs / name, "cnn", valid_accuracy, seed=len(name))
    finished(runs / "c_aligns", "affine_stn", task="align")
    result = json.loads((runs / "c_aligns" / "result.json").read_text())
    for name in ("accuracy", "cross_entropy", "valid_accuracy"):
        del result[name]
    (runs / "c_aligns" / "result.json").write_text(json.dumps({**result, "image_epe": 3.5, "flow_epe": 0.75}))
    script.main([str(runs), str(tmp_path / "kept"), "--weights"], tmp_path / "weights")
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["cnn.h5"]
    assert checkpoint.read(tmp_path / "weights" / "cnn.h5").origin["seed"] == len("a_good")
    assert "| affine_stn | 3.5000 | 0.7500 | 7 | 1 | `hstn train --seed 0` |" in capsys.readouterr().out


def test_a_reduced_table_is_not_shipped(table, tmp_path, capsys):
    (table / "table1.json").write_text('{"reduced": true}')
    with pytest.raises(SystemExit):
        script.main([str(table), str(tmp_path / "kept"), "--weights"], tmp_path / "weights")
    assert "is a reduced table" in capsys.readouterr().err and not (tmp_path / "weights").exists()


def test_too_many_bytes_are_an_error(table, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "LIMIT", 1000)
    with pytest.raises(SystemExit, match="more than 0 MB"):
        script.main([str(table), str(tmp_path / "kept"), "--weights"], tmp_path / "weights")


def test_nothing_to_keep_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([str(tmp_path), str(tmp_path / "kept")])
    assert "has no finished runs" in capsys.readouterr().err

"""What the tests of Table 1 and of Table 2 have in common: how their commands refuse, and which runs they report."""

import shutil

from .test_cli import error_of


def assert_configuration_refused(command, text, change, folder, message):
    """The configuration `text` with one change is refused in one sentence, and nothing is written."""
    assert change[0] in text
    (folder / "c.toml").write_text(text.replace(*change))
    found = error_of(command, "--config", folder / "c.toml", "--out", folder / "t")
    assert found.startswith(f"{folder}/c.toml: {message}")
    assert not (folder / "t").exists()


def assert_call_refused(command, arguments, place, folder, message):
    """The arguments, with {place} for a folder, are refused in one sentence; without --out it is a new folder."""
    given = arguments.format(place=place).split()
    out = [] if "--out" in given else ["--out", folder / "t"]
    assert error_of(command, *given, *out).startswith(message.format(place=place))


def assert_other_seeds_and_data_are_reported(report, config, folder, row, said):
    """A run of seed 7 is reported as `said` beside those of the configuration; if its data are others, that is said."""
    shutil.copytree(folder / row / "seed-0", folder / row / "seed-7")
    text = report.markdown(report.collect(config, folder) | {"flows": []}, {})
    assert said in text and "cannot be compared" not in text
    path = folder / row / "seed-7" / "result.json"
    path.write_text(path.read_text().replace('"data": {', '"data": {"only_the_first": 8, '))
    text = report.markdown(report.collect(config, folder) | {"flows": []}, {})
    assert "**The runs have different data and cannot be compared.**" in text


def assert_table_without_its_runs_is_kept(command, folder, row, place):
    """A table is not replaced by one that lacks a finished run of it, however it is called."""
    shutil.copytree(folder, place)
    shutil.rmtree(place / row)
    table = place / f"{command}.json"
    before = table.read_bytes()
    for arguments in (["--report"], ["--only", row, "--quiet"]):
        message = error_of(command, "--out", place, *arguments)
        assert message.startswith(f"{table} has ") and f"such as {place / row / 'seed-0'}; " in message
    assert table.read_bytes() == before and not (place / row).exists()

"""What the tests of Table 1 and of Table 2 have in common: how their commands refuse."""

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

"""Errors that a user can mend. The command line prints their one sentence and exits with 1."""


class UserError(Exception):
    """What went wrong, where, and what was expected, in one sentence."""


class ConfigError(UserError, ValueError):
    """A key or a value of a configuration is not what it should be."""


class DataError(UserError, ValueError):
    """The content of a file or an array is not what it should be."""


class DataTypeError(UserError, TypeError):
    """The elements of an array have the wrong type."""


class FileError(UserError, OSError):
    """A file or folder cannot be found, read, written or fetched."""

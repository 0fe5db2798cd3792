"""The version of the package: the one place where it is written."""

__version__ = "4.0.0.dev0"

"""Which release of Duly this is."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """The version of the installed package; `unknown` where it is not installed."""
    try:
        return version("duly")
    except PackageNotFoundError:
        return "unknown"

"""What mypy and pyright say of an app's code: right uses pass both, each wrong one is reported."""

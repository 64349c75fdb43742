from dev.kinds_table import README, written


def test_the_readme_has_the_table_of_kinds() -> None:
    readme = README.read_text()
    assert written(readme) == readme, "run `make kinds`"

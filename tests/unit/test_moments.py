"""The moments at which the fault tests kill processes: found by name, in functions that exist."""

import ast
import inspect
from functools import reduce
from importlib import import_module

import pytest

from tests.faults import moments
from tests.faults.moments import Moment

LISTED = {
    moment
    for name, each in vars(moments).items()
    if isinstance(each, list) and name != "ALL"
    for moment in each
}


def test_every_moment_is_found_by_its_name() -> None:
    assert set(moments.ALL) == LISTED
    assert len({each.name for each in moments.ALL}) == len(moments.ALL)


def test_no_list_takes_the_name_of_another() -> None:
    lines = ast.parse(inspect.getsource(moments)).body
    names = [ast.unparse(each.targets[0]) for each in lines if isinstance(each, ast.Assign)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("moment", moments.ALL, ids=lambda moment: moment.name.replace(" ", "-"))
def test_every_moment_is_in_a_function_that_exists(moment: Moment) -> None:
    module, _, path = moment.function.partition(":")
    assert callable(reduce(getattr, path.split("."), import_module(module)))

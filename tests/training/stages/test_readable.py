"""What cannot be learnt from is found before a run begins."""

from dataclasses import replace

import pytest

from tests.training.stages.samples import damaged
from training.data.sets import QuerySet
from training.errors import BadInput
from training.stages.pixelstore import open_store
from training.stages.readable import check_queries, check_types, used, without_unreadable


def test_types_with_one_photograph_are_named(data):
    few = [photo for photo in data.train if photo.name != data.train[0].name]
    check_types(data.train, "learn from")
    with pytest.raises(BadInput, match=f"one photograph .* {data.train[0].name}; add"):
        check_types([data.train[0], *few], "learn from")


def test_one_type_is_not_enough(data):
    alone = [photo for photo in data.train if photo.name == data.train[0].name]
    with pytest.raises(BadInput, match="1 types to learn from; at least two"):
        check_types(alone, "learn from")


def test_an_empty_validation_is_refused(data):
    check_queries(data.validation)
    with pytest.raises(BadInput, match="no photographs to validate on"):
        check_queries(QuerySet((), data.validation.database, ()))


@pytest.fixture
def broken(data, tmp_path):
    """The data with a damaged photograph in each part: of training, query and database."""
    asked = data.validation
    train = (damaged(data.train[0], tmp_path), *data.train[1:])
    queries = (damaged(asked.queries[0], tmp_path), *asked.queries[1:])
    database = (*asked.database[:2], damaged(asked.database[2], tmp_path), *asked.database[3:])
    validation = QuerySet(queries, database, asked.relevant)
    return replace(data, train=train, classification=train, validation=validation, test=validation)


def test_unreadable_photographs_can_be_refused(broken, cache, console):
    bad = open_store(tuple(used(broken)), 120, cache, console).unreadable
    with pytest.raises(BadInput) as error:
        without_unreadable(broken, bad, console, skip=False)
    assert str(error.value).startswith("3 of 38 photographs cannot be read: ")
    assert f"{broken.train[0].name}/{broken.train[0].path.name}: " in str(error.value)
    assert "leave out --no-skip-unreadable" in str(error.value)


def test_unreadable_photographs_are_left_out_and_said_in_one_line(broken, data, cache, console):
    bad = open_store(tuple(used(broken)), 120, cache, console).unreadable
    left = without_unreadable(broken, bad, console)
    assert left.train == data.train[1:]
    asked, before = left.validation, data.validation
    assert asked.queries == before.queries[1:]
    assert asked.database == (*before.database[:2], *before.database[3:])
    assert left.test == asked
    for query, relevant in zip(asked.queries, asked.relevant, strict=True):
        names = {n for n, photo in enumerate(asked.database) if photo.name == query.name}
        assert relevant == names
    said = console.file.getvalue().splitlines()[-1]
    assert said.startswith("left out: 3 of 38 photographs cannot be read: ")
    assert console.file.getvalue().count("left out") == 1


def test_readable_data_stay_the_same(data, console):
    assert without_unreadable(data, {}, console, skip=False) is data

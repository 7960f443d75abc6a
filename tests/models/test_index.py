import struct
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import indexfile
from models.errors import BadRelease, WrongDimension
from models.index import Neighbours, PrototypeIndex
from models.prototypes import Prototypes
from tests.models.samples import clustered, directions, prototypes

LARGE = 2500


@pytest.fixture(scope="module")
def graph() -> tuple[Prototypes, PrototypeIndex]:
    large = prototypes(clustered(LARGE, 24, 60))
    return large, PrototypeIndex.build(large)


def slow(shelf: Prototypes, row, k: int) -> list[tuple[str, float]]:
    """Return ids and cosines of the k nearest by a full sort in float64, ties by id."""
    rows = shelf.embeddings.astype(np.float64)
    cosines = rows @ row.astype(np.float64) / np.linalg.norm(row.astype(np.float64))
    ranked = sorted(zip(shelf.ids, cosines, strict=True), key=lambda item: (-item[1], item[0]))
    return ranked[:k]


def same(found: Neighbours, expected: list[tuple[str, float]]) -> None:
    assert list(found.ids) == [name for name, _ in expected]
    assert np.allclose(found.similarities, [cosine for _, cosine in expected], atol=1e-5)


@pytest.mark.parametrize(("count", "dimension"), [(1, 1), (2, 3), (37, 5), (1999, 17)])
def test_the_exact_index_equals_a_full_sort(count, dimension) -> None:
    shelf = prototypes(directions(count, dimension))
    index = PrototypeIndex.build(shelf)
    assert index.exact
    assert (len(index), index.dimension) == (count, dimension)
    rows = directions(9, dimension, 1)
    for row, found in zip(rows, index.query(rows, 7), strict=True):
        if dimension > 1:
            same(found, slow(shelf, row, 7))
        assert found.similarities.dtype == np.float32
        assert len(found.ids) == len(found.types) == len(found.kinds) == min(7, count)


def test_types_and_kinds_are_those_of_the_ids(graph) -> None:
    shelf, index = graph
    by_id = dict(zip(shelf.ids, zip(shelf.types, shelf.kinds, strict=True), strict=True))
    for found in index.query(directions(5, 24, 3), 10):
        assert [by_id[name] for name in found.ids] == list(
            zip(found.types, found.kinds, strict=True)
        )


@pytest.mark.parametrize(
    "rows", [directions(LARGE, 32, 5), clustered(LARGE, 32, 40, 6), clustered(LARGE, 128, 300, 7)]
)
def test_the_graph_finds_nearly_all_that_a_full_sort_does(rows) -> None:
    shelf = prototypes(rows)
    index = PrototypeIndex.build(shelf)
    assert not index.exact
    queries = np.concatenate([directions(40, rows.shape[1], 8), rows[:60] + np.float32(0.01)])
    hits = sum(
        len({name for name, _ in slow(shelf, row, 10)} & set(found.ids))
        for row, found in zip(queries, index.query(queries, 10), strict=True)
    )
    assert hits / (10 * len(queries)) >= 0.99


def test_best_come_first_and_equal_ones_by_id() -> None:
    row = directions(1, 8)
    shelf = prototypes(np.repeat(row, 9, axis=0))
    turned = Prototypes(shelf.embeddings, shelf.ids[::-1], shelf.types, shelf.kinds)
    for index in (PrototypeIndex.build(shelf), PrototypeIndex.build(turned)):
        assert index.query(row, 4)[0].ids == shelf.ids[:4]
    changed = PrototypeIndex.build(shelf).with_changes(prototypes(row, "a"), ["p00001"])
    assert changed.query(row, 3)[0].ids == ("a00000", "p00000", "p00002")


def test_more_than_there_are_gives_what_there_is(graph) -> None:
    empty = PrototypeIndex.build(prototypes(directions(0, 4)))
    assert [found.ids for found in empty.query(directions(2, 4), 3)] == [(), ()]
    assert (
        len(PrototypeIndex.build(prototypes(directions(2, 4))).query(directions(1, 4), 9)[0].ids)
        == 2
    )
    shelf, index = graph
    found = index.query(directions(2, 24, 4), LARGE + 5)
    assert [len(each.ids) for each in found] == [LARGE, LARGE]
    same(index.query(directions(1, 24, 4), 400)[0], slow(shelf, directions(1, 24, 4)[0], 400))


def test_no_rows_give_no_neighbours(graph) -> None:
    assert graph[1].query(np.zeros((0, 24), np.float32), 3) == []


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_has_none_and_its_neighbours_all(graph, poison) -> None:
    for index in (graph[1], PrototypeIndex.build(prototypes(directions(30, 24)))):
        rows = directions(3, 24, 2)
        rows[1, 5] = poison
        assert [len(found.ids) for found in index.query(rows, 5)] == [5, 0, 5]


def test_only_the_direction_of_a_row_matters(graph) -> None:
    rows = directions(4, 24, 11)
    for one, other in zip(graph[1].query(rows, 5), graph[1].query(rows * 3, 5), strict=True):
        assert one.ids == other.ids
        assert np.allclose(one.similarities, other.similarities, atol=1e-6)


def test_other_dimensions_and_shapes_are_refused(graph) -> None:
    _, index = graph
    with pytest.raises(WrongDimension) as caught:
        index.query(directions(2, 23), 3)
    assert (caught.value.given, caught.value.expected) == (23, 24)
    with pytest.raises(WrongDimension):
        index.with_changes(prototypes(directions(2, 23)), [])
    with pytest.raises(ValueError, match="float32"):
        index.query(directions(2, 24)[0], 3)
    with pytest.raises(ValueError, match="0"):
        index.query(directions(2, 24), 0)


@given(
    st.integers(0, 25),
    st.lists(st.tuples(st.integers(0, 6), st.sets(st.integers(0, 30)), st.integers(0, 9))),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_changes_upon_changes_equal_a_fresh_index(count, steps, k) -> None:
    shelf = prototypes(directions(count, 6))
    index = PrototypeIndex.build(shelf)
    for number, (more, gone, prefix) in enumerate(steps):
        added = prototypes(directions(more, 6, 50 + number), "p" if prefix < 5 else "q")
        removed = {f"p{place:05d}" for place in gone}
        index = index.with_changes(added, removed)
        shelf = shelf.without(removed | set(added.ids)).joined(added)
    assert len(index) == len(shelf)
    rows = directions(4, 6, 3)
    for row, found in zip(rows, index.query(rows, k), strict=True):
        same(found, slow(shelf, row, k))


@given(
    st.integers(0, 25),
    st.lists(st.tuples(st.integers(0, 6), st.sets(st.integers(0, 30)), st.integers(0, 9))),
    st.integers(1, 12),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_each_kind_is_found_as_if_it_were_alone(count, steps, k, asked_before) -> None:
    shelf = prototypes(directions(count, 6))
    index = PrototypeIndex.build(shelf)
    rows, new = directions(4, 6, 3), set()
    for number, (more, gone, prefix) in enumerate(steps):
        if asked_before:
            index.query_kinds(rows, k)
        added = prototypes(directions(more, 6, 50 + number), "p" if prefix < 5 else "q")
        removed = {f"p{place:05d}" for place in gone}
        index = index.with_changes(added, removed)
        shelf = shelf.without(removed | set(added.ids)).joined(added)
        new = new - removed | set(added.ids)
    kinds = dict(zip(shelf.ids, shelf.kinds, strict=True))
    for row, found in zip(rows, index.query_kinds(rows, k), strict=True):
        ranked = slow(shelf, row, len(shelf))
        guns = [item for item in ranked if kinds[item[0]] == "firearm"][:k]
        others = [item for item in ranked if kinds[item[0]] != "firearm"][:k]
        same(found, sorted(guns + others, key=lambda item: (-item[1], item[0])))
        assert [kinds[name] for name in found.ids] == list(found.kinds)
        assert found.added == new & set(found.ids)
    for found in index.query(rows, k):
        assert found.added == new & set(found.ids)
    for row, found in zip(rows, index.query_kinds(rows, k, added_apart=True), strict=True):
        ranked, counts, kept = slow(shelf, row, len(shelf)), {}, []
        for item in ranked:
            group = kinds[item[0]] == "firearm", item[0] in new
            counts[group] = counts.get(group, 0) + 1
            kept += [item] * (counts[group] <= k)
        same(found, kept)
        assert found.added == new & set(found.ids)


def test_changes_leave_the_index_below_as_it_is_and_share_it(graph) -> None:
    shelf, index = graph
    rows = directions(6, 24, 12)
    before = [found.ids for found in index.query(rows, 10)]
    nearest = {name for ids in before for name in ids}
    added = prototypes(rows, "new")
    changed = index.with_changes(added, nearest)
    assert [found.ids for found in index.query(rows, 10)] == before
    left = shelf.without(nearest).joined(added)
    assert len(changed) == len(left)
    for row, found in zip(rows, changed.query(rows, 10), strict=True):
        assert not nearest & set(found.ids)
        same(found, slow(left, row, 10))
    assert changed._base is index._base


def test_when_nearly_all_are_removed_those_left_are_found(graph) -> None:
    shelf, index = graph
    few = index.with_changes(prototypes(directions(0, 24)), shelf.ids[3:])
    row = directions(1, 24, 13)
    same(few.query(row, 10)[0], slow(shelf.without(set(shelf.ids[3:])), row[0], 10))
    none = index.with_changes(prototypes(directions(0, 24)), shelf.ids)
    assert (len(none), none.query(row, 10)[0].ids) == (0, ())


def test_threads_that_ask_at_once_get_what_one_gets(graph) -> None:
    _, index = graph
    rows = directions(50, 24, 14)
    expected = [found.ids for found in index.query(rows, 10)]
    answers: list[list[tuple[str, ...]]] = []

    def ask() -> None:
        answers.extend([found.ids for found in index.query(rows, 10)] for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 20


def test_the_same_prototypes_give_the_same_file(tmp_path, graph) -> None:
    shelf, index = graph
    index.save(tmp_path / "a.bin")
    PrototypeIndex.build(shelf).save(tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


@pytest.mark.parametrize("count", [1, 40, LARGE])
def test_a_file_gives_the_same_index(tmp_path, count) -> None:
    shelf = prototypes(clustered(count, 24, 60))
    index = PrototypeIndex.build(shelf)
    index.save(tmp_path / "i.bin")
    again = PrototypeIndex.load(tmp_path / "i.bin", shelf)
    rows = directions(30, 24, 15)
    for one, other in zip(index.query(rows, 10), again.query(rows, 10), strict=True):
        assert one.ids == other.ids
        assert np.array_equal(one.similarities, other.similarities)


@pytest.mark.parametrize("count", [40, LARGE])
def test_a_file_of_other_prototypes_is_refused(tmp_path, count) -> None:
    path = tmp_path / "i.bin"
    PrototypeIndex.build(prototypes(directions(count, 24))).save(path)
    for other in (directions(count, 25), directions(count - 1, 24), directions(count + 1, 24)):
        with pytest.raises(BadRelease, match=r"i\.bin holds") as caught:
            PrototypeIndex.load(path, prototypes(other))
        assert "\n" not in str(caught.value)


def test_a_graph_of_other_vectors_is_refused(tmp_path, graph) -> None:
    graph[1].save(tmp_path / "i.bin")
    with pytest.raises(BadRelease, match="other prototypes"):
        PrototypeIndex.load(tmp_path / "i.bin", prototypes(directions(LARGE, 24)))


@pytest.mark.parametrize("count", [40, LARGE])
@pytest.mark.parametrize("keep", [0, 10, 4000])
def test_a_file_cut_short_is_refused(tmp_path, count, keep) -> None:
    path = tmp_path / "i.bin"
    shelf = prototypes(directions(count, 24))
    PrototypeIndex.build(shelf).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadRelease, match=r"i\.bin"):
        PrototypeIndex.load(path, shelf)
    with pytest.raises(BadRelease, match=r"absent\.bin"):
        PrototypeIndex.load(tmp_path / "absent.bin", shelf)


def test_an_index_with_changes_is_not_saved(tmp_path, graph) -> None:
    changed = graph[1].with_changes(prototypes(directions(1, 24), "n"), [])
    with pytest.raises(ValueError, match="changes"):
        changed.save(tmp_path / "i.bin")


def lists_of(raw: bytes) -> int:
    """Return where the links above the lowest level begin."""
    figures = indexfile.GRAPH_HEADER.unpack_from(raw)
    return indexfile.GRAPH_HEADER.size + figures[2] * figures[3]


def lifted(raw: bytes) -> tuple[int, int]:
    """Return the place of the first links above the lowest level, and the element they are of."""
    at, element = lists_of(raw), 0
    while raw[at : at + 4] == bytes(4):
        at, element = at + 4, element + 1
    return at + 4, element


def at_header(field: int, value: float) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        figures = list(indexfile.GRAPH_HEADER.unpack_from(raw))
        figures[field] = value
        indexfile.GRAPH_HEADER.pack_into(raw, 0, *figures)

    return change


def at_lowest(place: int, value: int) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        figures = indexfile.GRAPH_HEADER.unpack_from(raw)
        element = indexfile.GRAPH_HEADER.size + (figures[2] - 3) * figures[3]
        struct.pack_into("<I", raw, element + 4 * place, value)

    return change


def above(place: int, value: int) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        struct.pack_into("<I", raw, lifted(raw)[0] + 4 * place, value)

    return change


def to_one_below(raw: bytearray) -> None:
    at, _ = lifted(raw)
    lowest = next(n for n in range(LARGE) if raw[lists_of(raw) + 4 * n :][:4] == bytes(4))
    struct.pack_into("<II", raw, at, 1, lowest)


def longer(raw: bytearray) -> None:
    raw += bytes(4)


@pytest.mark.parametrize(
    "change",
    [
        *(at_header(field, 2**40) for field in (0, 1, 3, 4, 5, 8, 9, 10)),
        at_header(1, LARGE + 1),
        at_header(6, -1),
        at_header(6, 1_000),
        at_header(7, LARGE),
        at_header(7, 2**32 - 1),
        at_lowest(0, 65),
        at_lowest(0, 0x0001_0005),
        at_lowest(1, LARGE),
        at_lowest(1, 2**32 - 1),
        above(0, 33),
        above(1, 2**31),
        to_one_below,
        longer,
    ],
)
def test_a_graph_that_leads_out_of_itself_is_refused_before_it_is_read(
    tmp_path, graph, change
) -> None:
    shelf, index = graph
    path = tmp_path / "i.bin"
    index.save(path)
    raw = bytearray(path.read_bytes())
    change(raw)
    path.write_bytes(raw)
    with pytest.raises(BadRelease, match=r"i\.bin") as caught:
        PrototypeIndex.load(path, shelf)
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_not_at_the_top_is_refused(tmp_path, graph) -> None:
    shelf, index = graph
    path = tmp_path / "i.bin"
    index.save(path)
    raw = bytearray(path.read_bytes())
    lowest = next(n for n in range(LARGE) if raw[lists_of(raw) + 4 * n :][:4] == bytes(4))
    at_header(7, lowest)(raw)
    path.write_bytes(raw)
    with pytest.raises(BadRelease, match="graph"):
        PrototypeIndex.load(path, shelf)


def test_a_graph_without_links_is_searched_in_full(tmp_path, graph) -> None:
    shelf, index = graph
    path = tmp_path / "i.bin"
    index.save(path)
    raw = bytearray(path.read_bytes())
    figures = indexfile.GRAPH_HEADER.unpack_from(raw)
    for element in range(LARGE):
        struct.pack_into("<I", raw, indexfile.GRAPH_HEADER.size + element * figures[3], 0)
    path.write_bytes(raw)
    row = directions(1, 24, 16)
    same(PrototypeIndex.load(path, shelf).query(row, 10)[0], slow(shelf, row[0], 10))

"""Posts are counted by their coordinates, and whatever is wrong with the count is said."""

import json
from types import SimpleNamespace

from tests.chaos.ledger import counted, dead_letter_source, decisions, posted, source


def test_what_is_lost_doubled_or_of_no_post_is_named() -> None:
    wanted = posted("posts", {0: 2, 1: 1})
    assert wanted == {("posts", 0, 0), ("posts", 0, 1), ("posts", 1, 0)}
    found = [("posts", 0, 0), ("posts", 0, 0), ("posts", 1, 0), ("posts", 1, 7)]
    count = counted(wanted, found)
    assert (count.wanted, count.found) == (3, 4)
    assert count.lost == (("posts", 0, 1),)
    assert count.doubled == (("posts", 0, 0),)
    assert count.strange == (("posts", 1, 7),)
    assert not count.right
    assert counted(wanted, wanted).right


def test_coordinates_are_found_in_decisions_and_dead_letters() -> None:
    at = {"topic": "posts", "partition": 3, "offset": 5}
    row = SimpleNamespace(value=json.dumps({"source": at}), headers={})
    assert [source(each) for each in decisions([row])] == [("posts", 3, 5)]
    headers = {f"__connect.errors.{name}": str(value) for name, value in at.items()}
    assert dead_letter_source(SimpleNamespace(value=None, headers=headers)) == ("posts", 3, 5)

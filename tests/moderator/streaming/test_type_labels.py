from moderator.streaming.type_labels import MOST, OTHER, TypeLabels


def test_types_of_the_overlay_have_labels_up_to_a_bound_and_the_releases_all() -> None:
    labels = TypeLabels(lambda: {f"release{n}" for n in range(2 * MOST)})
    added = [labels.label(f"added{n}") for n in range(3 * MOST)]
    assert added == [f"added{n}" for n in range(MOST)] + [OTHER] * (2 * MOST)
    assert labels.label("added0") == "added0"
    assert {labels.label(f"release{n}") for n in range(2 * MOST)} == labels._of_release()


def test_a_type_that_a_new_release_brings_has_its_label() -> None:
    served: set[str] = set()
    labels = TypeLabels(lambda: served)
    for number in range(2 * MOST):
        labels.label(f"added{number}")
    assert labels.label("new") == OTHER
    served.add("new")
    assert labels.label("new") == "new"

import pickle

from models.errors import BadNetwork, BadRelease, ModelError, WrongDimension


def test_all_errors_are_of_one_branch() -> None:
    assert {BadRelease, BadNetwork, WrongDimension} <= set(ModelError.__subclasses__())


def test_a_wrong_dimension_names_both_and_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(WrongDimension(3, 4)))
    assert (error.given, error.expected) == (3, 4)
    assert "3 dimensions" in str(error)
    assert "has 4" in str(error)

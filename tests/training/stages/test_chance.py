"""Chance depends on seed, purpose and position, and on nothing else."""

from training.stages.chance import chance, number


def test_each_position_has_its_own_numbers():
    keys = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", 0, 0), (0, "a", 0, 1)]
    assert len({number(*key) for key in keys}) == len(keys)
    assert all(number(*key) == number(*key) for key in keys)
    assert all(0 <= number(0, "seed", n) < 2**63 for n in range(100))


def test_a_generator_is_fresh_each_time():
    assert chance(3, "x", 1).random() == chance(3, "x", 1).random()

import pytest
import torch

from tests.training.method.drawn import SHAPES, distance, embeddings
from training.method.distance import exact, paired_distance, pairwise_distance

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_pairs_are_as_far_as_a_loop_says(shape, dtype):
    a, b = (embeddings(*shape, seed=seed, dtype=dtype) for seed in (0, 1))
    for eps in (1e-6, 0.1):
        slow = [
            distance(x, y, eps) for x, y in zip(a.tolist(), b.tolist(), strict=True)
        ]  # fmt: skip
        found = paired_distance(a, b, eps=eps)
        assert found.dtype == exact(a).dtype
        assert found.tolist() == pytest.approx(slow, rel=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_are_as_far_from_each_other_as_a_double_loop_says(shape, dtype):
    rows = embeddings(*shape, seed=2, dtype=dtype)
    found = pairwise_distance(rows)
    assert found.dtype == exact(rows).dtype
    for i, a in enumerate(rows.tolist()):
        for j, b in enumerate(rows.tolist()):
            assert float(found[i, j]) == pytest.approx(distance(a, b), rel=TOLERANCE[dtype])
    assert (found.diagonal() == 0).all()


def test_near_copies_keep_their_distance_in_float32():
    row = torch.nn.functional.normalize(embeddings(1, 512, seed=0, dtype=torch.float32), dim=1)
    other = row.clone()
    other[0, 3] += 1e-5
    assert float(pairwise_distance(torch.cat([row, other]))[0, 1]) == pytest.approx(1e-5, rel=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(shape):
    a, b = (embeddings(*shape, seed=seed).requires_grad_() for seed in (3, 4))
    assert torch.autograd.gradcheck(paired_distance, (a, b))
    # The diagonal has no slope; away from it the distance is smooth.
    apart = torch.triu_indices(shape[0], shape[0], 1)
    assert torch.autograd.gradcheck(lambda rows: pairwise_distance(rows)[*apart], (a,))


def test_equal_embeddings_have_finite_gradients():
    rows = torch.ones(3, 4, requires_grad=True)
    (paired_distance(rows, torch.ones(3, 4)).sum() + pairwise_distance(rows).sum()).backward()
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize(("a", "b"), [((3, 4), (3, 5)), ((3, 4), (1, 4)), ((4,), (4,))])
def test_shapes_that_do_not_fit_are_refused(a, b):
    with pytest.raises(ValueError, match="P rows are needed"):
        paired_distance(torch.zeros(a), torch.zeros(b))


def test_a_single_column_has_no_pairs():
    with pytest.raises(ValueError, match="N rows is needed"):
        pairwise_distance(torch.zeros(4))

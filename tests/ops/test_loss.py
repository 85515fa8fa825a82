"""softmax_cross_entropy against the logarithm of the definition, and far out where that overflows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad
from autodiff.ops import softmax_cross_entropy

from ..arrays import DTYPES, RTOL, normal


@st.composite
def problems(draw, dtype=np.float64):
    N, K = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    labels = np.array(draw(st.lists(st.integers(0, K - 1), min_size=N, max_size=N)))
    return draw(normal((N, K), dtype)), labels.astype(draw(st.sampled_from([np.int64, np.int32, np.uint8])))


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_the_definition(dtype, data):
    z, labels = data.draw(problems(dtype))
    p = np.exp(z.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    t = Tensor(z, requires_grad=True)
    loss = softmax_cross_entropy(t, labels)
    gz = grad(loss, t)
    one_hot = (labels[:, None] == np.arange(z.shape[1])).astype(float)
    eps = RTOL[dtype]
    assert loss.shape == ()
    assert loss.dtype == gz.dtype == dtype
    assert_allclose(loss.data, -np.mean([np.log(p[n, k]) for n, k in enumerate(labels)]), rtol=eps, atol=eps)
    assert_allclose(gz.data, (p - one_hot) / len(z), atol=eps)


@given(problems())
def test_gradients(problem):
    z, labels = problem

    def loss(t):
        return softmax_cross_entropy(t, labels)

    check.vjp(loss, z)
    check.adjoint(loss, z)
    check.second_order(loss, z)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_of_ten_thousand(dtype):
    z = Tensor(np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype), requires_grad=True)
    loss = softmax_cross_entropy(z, [0, 0])
    loss.backward()
    assert loss.item() == 1e4  # (0 + 2e4) / 2
    assert_array_equal(z.grad.data, [[0.0, 0.0, 0.0], [-0.5, 0.5, 0.0]])


def test_a_common_offset_changes_nothing():
    z, labels = np.random.default_rng(0).standard_normal((4, 3)), [0, 1, 2, 1]
    plain, offset = (softmax_cross_entropy(a, labels).item() for a in (z, z + 1000))
    assert_allclose(offset, plain, rtol=1e-12)  # 1000 + z has lost 10 of the 53 bits of z


def test_labels_as_a_tensor():
    z = np.array([[0.0, 0.0], [0.0, 0.0]])
    assert_allclose(softmax_cross_entropy(z, Tensor(np.array([0, 1]))).item(), np.log(2))


@pytest.mark.parametrize("labels, found", [([0, 3], "label 3 at position 1"), ([-1, 0], "label -1 at position 0")])
def test_labels_out_of_range(labels, found):
    with pytest.raises(ValueError, match=f"^softmax_cross_entropy: {found}, expected 0 to 2$"):
        softmax_cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("shape, labels", [((2, 3), [0]), ((3,), [0, 1, 2]), ((2, 3), [[0], [1]])])
def test_shapes_that_do_not_fit(shape, labels):
    with pytest.raises(ValueError, match=r"^softmax_cross_entropy: logits .*\(N, K\) and \(N,\)$"):
        softmax_cross_entropy(np.zeros(shape), labels)


def test_empty_batch():
    with pytest.raises(ValueError, match=r"^softmax_cross_entropy: empty batch"):
        softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, int))


def test_dtypes():
    with pytest.raises(TypeError, match=r"^softmax_cross_entropy: labels .*float64.*integers$"):
        softmax_cross_entropy(np.zeros((2, 3)), np.array([0.0, 1.0]))
    with pytest.raises(TypeError, match=r"^softmax_cross_entropy: .*int64"):
        softmax_cross_entropy(np.zeros((2, 3), np.int64), [0, 1])

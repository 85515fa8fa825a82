import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref import metrics

dtypes = st.sampled_from([np.float32, np.float64])


def logits_and_labels(seed, dtype, N=23, K=10):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (N, K)).astype(dtype), rng.integers(0, K, N)


@given(st.integers(0, 99), dtypes)
def test_cross_entropy_is_the_mean_of_minus_log_of_the_probability(seed, dtype):
    z, t = logits_and_labels(seed, dtype)
    losses = []
    for row, label in zip(z.tolist(), t.tolist(), strict=True):  # plain Python: the definition
        losses.append(-math.log(math.exp(row[label]) / sum(math.exp(x) for x in row)))
    assert metrics.cross_entropy(z, t) == pytest.approx(sum(losses) / len(losses), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_huge_logits_is_finite(dtype):
    z = np.array([[1e30, 0.0], [-1e30, 0.0]], dtype)
    assert metrics.cross_entropy(z, np.array([0, 1])) == 0
    assert metrics.cross_entropy(z, np.array([1, 1])) == pytest.approx(0.5e30)


def test_cross_entropy_sums_in_float64():
    z = np.zeros((100_003, 10), np.float32)
    assert metrics.cross_entropy(z, np.zeros(len(z), int)) == pytest.approx(math.log(10), rel=1e-14)


def test_metrics_leave_their_arguments_alone():
    z, t = logits_and_labels(0, np.float64)
    before = z.copy()
    metrics.cross_entropy(z, t)
    np.testing.assert_array_equal(z, before)


def test_a_tie_goes_to_the_smaller_class():
    z = np.array([[0, 1, 1], [2, 2, 2]], np.float32)
    assert metrics.predictions(z).tolist() == [1, 0]
    assert metrics.accuracy(z, np.array([2, 0])) == 0.5


def test_confusion_has_labels_in_rows_and_predictions_in_columns():
    z = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    found = metrics.confusion_matrix(z, np.array([0, 0, 1, 0]))
    assert found.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_confusion_of_labels_in_small_integers(dtype):
    """29 * 30 is more than a uint8 holds."""
    labels = np.arange(30).astype(dtype)
    assert metrics.confusion_matrix(np.eye(30), labels).tolist() == np.eye(30).tolist()


@given(st.integers(0, 99))
def test_accuracy_is_the_trace_of_the_confusion(seed):
    z, t = logits_and_labels(seed, np.float32)
    confusion = metrics.confusion_matrix(z, t)
    assert metrics.accuracy(z, t) == pytest.approx(np.trace(confusion) / len(t))
    assert confusion.sum(axis=1).tolist() == [int((t == k).sum()) for k in range(10)]


@pytest.mark.parametrize("function", [metrics.accuracy, metrics.cross_entropy, metrics.confusion_matrix])
@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((3, 4), [0, 1], r"logits \(3, 4\) and labels \(2,\)"),
        ((3,), [0, 1, 2], r"logits \(3,\)"),
        ((0, 4), [], r"logits \(0, 4\)"),
        ((2, 4), [0, 4], r"labels span 0..4, logits \(2, 4\) have classes 0..3"),
        ((2, 4), [-1, 0], r"labels span -1..0"),
    ],
)
def test_bad_arguments_are_named(function, shape, labels, message):
    with pytest.raises(ValueError, match=f"{function.__name__}: .*{message}"):
        function(np.zeros(shape), np.array(labels, int))

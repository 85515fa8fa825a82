"""Adam against the formulas of the paper written out in float64, and the plateau rule of Keras step by step."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, use
from autodiff.optim import Adam, CosineAnnealing, ReduceOnPlateau

STEPS = 12


def adam(x, gradients, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8, eps_hat=False):
    """Algorithm 1 of Kingma and Ba (2014), or its efficient form, one number at a time."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        if eps_hat:
            x -= lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (math.sqrt(v) + eps)
        else:
            x -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
    return x


def gradients_of(shape, steps=STEPS, seed=0):
    return np.random.default_rng(seed).standard_normal((steps, *shape)) * 0.1


def run(optimiser, parameters, gradients):
    """Step with the given gradients, one list of arrays a step."""
    for step in gradients:
        for x, g in zip(parameters, step, strict=True):
            x.grad = None if g is None else Tensor(np.asarray(g, x.dtype))
        optimiser.step()


@pytest.mark.parametrize("voice", ["reference", "cpu"])
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-5), (np.float64, 1e-13)])  # 12 steps, 10 roundings each
@pytest.mark.parametrize("eps_hat", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2}, {"betas": (0.0, 0.0)}, {"eps": 1e-3}]
)
def test_adam_is_the_formula(options, eps_hat, dtype, rtol, voice):
    start, gradients = np.array([1.0, -2.0, 0.5]), gradients_of((3,))
    x = Tensor(start.astype(dtype), requires_grad=True)
    with use(voice):
        run(Adam([x], **options, eps_hat=eps_hat), [x], [[g] for g in gradients])
    written = {k: v for k, v in options.items() if k != "betas"}
    written.update(zip(("b1", "b2"), options.get("betas", (0.9, 0.999)), strict=True))
    exact = [
        adam(s, gradients[:, i].astype(dtype).astype(float), **written, eps_hat=eps_hat) for i, s in enumerate(start)
    ]
    assert x.dtype == dtype
    assert_allclose(x.data - start, np.array(exact) - start, rtol=100 * rtol, atol=10 * np.finfo(dtype).eps)
    assert_allclose(x.data, exact, rtol=rtol)


def test_the_two_forms_of_epsilon_differ():
    """In the first step v' = g^2 but v = (1 - b2) g^2: beside sqrt(v) eps weighs 1 / sqrt(1 - b2) times as much."""
    moved = []
    for eps_hat in (False, True):
        x = Tensor(np.array(0.0), requires_grad=True)
        run(Adam([x], lr=1.0, eps=0.1, eps_hat=eps_hat), [x], [[1.0]])
        moved.append(-x.item())
    assert_allclose(moved, [1 / 1.1, 1 / (1 + 0.1 / math.sqrt(0.001))], rtol=1e-12)


def test_the_first_step_has_the_length_of_the_learning_rate():
    x = Tensor(np.array([0.0, 0.0]), requires_grad=True)
    run(Adam([x], lr=0.01), [x], [[[1e3, -1e-3]]])
    assert_allclose(x.data, [-0.01, 0.01], rtol=1e-4)


def test_adam_finds_a_minimum():
    x = Tensor(np.array([3.0, -4.0], np.float32), requires_grad=True)
    optimiser = Adam([x], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        ((x - np.array([1.0, 2.0], np.float32)) ** 2).sum().backward()
        optimiser.step()
    assert_allclose(x.data, [1.0, 2.0], atol=1e-2)


def test_zero_grad_forgets_all_gradients():
    xs = [Tensor(np.ones(2), requires_grad=True) for _ in range(2)]
    (xs[0] * xs[1]).sum().backward()
    Adam(xs).zero_grad()
    assert [x.grad for x in xs] == [None, None]


def test_multipliers_scale_the_learning_rate_of_each_parameter():
    gradients = gradients_of((2,))
    xs = [Tensor(np.zeros(2, np.float32), requires_grad=True) for _ in range(3)]
    run(Adam(xs, lr=0.01, multipliers=np.array([1.0, 0.1, 0.0])), xs, [[g, g, g] for g in gradients])
    assert [x.dtype for x in xs] == [np.float32] * 3
    assert_allclose(xs[1].data, 0.1 * xs[0].data, atol=1e-8)  # steps of 0.01 rounded to 24 bits
    assert_array_equal(xs[2].data, [0.0, 0.0])


@pytest.mark.parametrize("option", ["lr", "eps"])
@pytest.mark.parametrize("eps_hat", [False, True])
def test_numpy_options_do_not_promote(option, eps_hat):
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    optimiser = Adam([x], **{option: np.float64(0.01)}, betas=tuple(np.array([0.9, 0.99])), eps_hat=eps_hat)
    run(optimiser, [x], [[[1.0, 2.0]]])
    optimiser.lr *= np.float64(0.5)
    run(optimiser, [x], [[[1.0, 2.0]]])
    assert x.dtype == optimiser.m[0].dtype == optimiser.v[0].dtype == np.float32


@pytest.mark.parametrize("eps_hat", [False, True])
def test_the_voices_agree_on_all_parameters_together(eps_hat):
    """Long, short and empty ones, two dtypes; then gradients that lie in memory otherwise or are of another dtype."""
    rng = np.random.default_rng(0)
    kinds = [((2500,), np.float32), ((70, 30), np.float32), ((), np.float32), ((0,), np.float32), ((1100,), np.float64)]
    starts = [rng.standard_normal(shape).astype(dtype) for shape, dtype in kinds]
    gradients = [[rng.standard_normal(shape).astype(dtype) for shape, dtype in kinds] for _ in range(3)]
    gradients[1][0], gradients[1][1] = np.repeat(gradients[1][0], 2)[::2], np.asfortranarray(gradients[1][1])
    gradients[2][0] = gradients[2][0].astype(np.float64)
    found = []
    for voice in ("reference", "cpu"):
        xs = [Tensor(start, requires_grad=True) for start in starts]
        adam = Adam(xs, lr=0.1, eps=1e-3, eps_hat=eps_hat, multipliers=range(1, 6))
        with use(voice):
            for step in gradients:
                for x, g in zip(xs, step, strict=True):
                    x.grad = Tensor(g)
                adam.step()
                xs[1].data = np.asfortranarray(xs[1].data)
        found.append([*(x.data for x in xs), *adam.m, *adam.v])
    for expected, result in zip(*found, strict=True):
        assert result.shape == expected.shape and result.dtype == expected.dtype
        # about ten roundings a step of numbers of size 1
        assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    for start, x in zip(starts, xs, strict=True):
        assert x.dtype == start.dtype and not np.shares_memory(x.data, start)
    assert_array_equal(starts[0], np.random.default_rng(0).standard_normal(2500).astype(np.float32))


def test_a_parameter_may_change_its_precision():
    """Its moments, of the precision that it had, go on in the new one."""
    found = []
    for voice in ("reference", "cpu"):
        x = Tensor(np.ones(3, np.float32), requires_grad=True)
        adam = Adam([x], lr=0.1)
        with use(voice):
            run(adam, [x], [[[1.0, -2.0, 0.5]]])
            x.data = x.data.astype(np.float64)
            run(adam, [x], [[[-1.0, 3.0, 0.5]]])
        assert {x.dtype, adam.m[0].dtype, adam.v[0].dtype} == {np.dtype(np.float64)}
        found.append(x.data)
    assert_allclose(found[1], found[0], rtol=1e-6)


def test_a_gradient_has_the_shape_of_its_parameter():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ValueError, match=r"^Adam: a gradient \(3,\) of a parameter \(2, 3\)$"):
        run(Adam([x]), [x], [[[1.0, 2.0, 3.0]]])


@pytest.mark.parametrize("voice", ["reference", "cpu"])
def test_a_parameter_that_changed_its_shape_is_named(voice):
    xs = [Tensor(np.ones(2), requires_grad=True) for _ in range(2)]
    with use(voice):
        adam = Adam(xs)
        xs[1].data = np.zeros(400)
        xs[1].grad = Tensor(np.ones(400))
        with pytest.raises(
            ValueError, match=r"^Adam: parameter 1 had shape \(2,\), has \(400,\) now; make a new Adam$"
        ):
            adam.step()


def test_a_parameter_without_a_gradient_is_left_alone():
    xs = [Tensor(np.ones(2), requires_grad=True) for _ in range(2)]
    run(Adam(xs), xs, [[[1.0, 1.0], None]])
    assert_array_equal(xs[1].data, [1.0, 1.0])
    assert (xs[0].data != 1.0).all()


def test_a_step_replaces_arrays_and_modifies_none():
    start, g = np.ones(2), np.array([1.0, 2.0])
    x = Tensor(start, requires_grad=True)
    x.grad = g
    Adam([x]).step()
    assert_array_equal(start, [1.0, 1.0])
    assert_array_equal(g, [1.0, 2.0])
    assert x.data is not start


def test_state_round_trip_continues_bit_by_bit():
    gradients = [[g, 2 * g] for g in gradients_of((3,))]

    def fresh():
        xs = [Tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(2)]
        return xs, Adam(xs, lr=0.01)

    whole, optimiser = fresh()
    run(optimiser, whole, gradients)

    first, optimiser = fresh()
    optimiser.lr = 0.01
    run(optimiser, first, gradients[:5])
    state = optimiser.state()
    second, continued = fresh()
    for x, y in zip(second, first, strict=True):
        x.data = y.data
    continued.lr = 1.0
    continued.load_state(state)
    run(optimiser, first, gradients[5:])  # whoever goes on with the first does not disturb the second
    run(continued, second, gradients[5:])
    for x, y, z in zip(whole, first, second, strict=True):
        assert_array_equal(x.data, y.data)
        assert_array_equal(x.data, z.data)


def test_a_state_of_other_parameters():
    a, b = (Adam([Tensor(np.ones(n), requires_grad=True)]) for n in (2, 3))
    with pytest.raises(ValueError, match=r"^Adam: the state's m has shapes \[\(2,\)\], expected \[\(3,\)\]$"):
        b.load_state(a.state())


@pytest.mark.parametrize(
    "options",
    [{"lr": -1}, {"lr": np.nan}, {"lr": np.inf}, {"eps": -1}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}],
)
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=r"^Adam: lr .*expected"):
        Adam([Tensor(np.ones(1), requires_grad=True)], **options)


def test_parameters_and_multipliers_must_fit():
    x = Tensor(np.ones(1), requires_grad=True)
    with pytest.raises(ValueError, match=r"^Adam: got no parameters$"):
        Adam([])
    with pytest.raises(ValueError, match=r"^Adam: 2 multipliers for 1 parameters$"):
        Adam([x], multipliers=[1.0, 2.0])


def test_what_cannot_be_moved_is_refused():
    x = Tensor(np.ones(3), requires_grad=True)
    for parameters in (x, [x, np.ones(3)], "ab"):
        with pytest.raises(TypeError, match=r"^Adam: expected a list of Tensors"):
            Adam(parameters)
    with pytest.raises(ValueError, match=r"^Adam: parameters \[1\] do not require a gradient$"):
        Adam([x, Tensor(np.ones(3))])
    with pytest.raises(ValueError, match=r"^Adam: a parameter is given twice"):
        Adam([x, x])


# Cosine


def test_a_cosine_goes_from_lr_to_0():
    adam = optimiser(0.2)
    schedule, rates = CosineAnnealing(adam, 4), []
    for t in range(4):
        schedule.step(t)
        rates.append(adam.lr)
    assert_allclose(rates, [0.2, 0.1 + 0.1 / 2**0.5, 0.1, 0.1 - 0.1 / 2**0.5], rtol=1e-15)


def test_a_cosine_needs_steps():
    with pytest.raises(ValueError, match=r"^CosineAnnealing: 0 steps, expected at least 1$"):
        CosineAnnealing(optimiser(), 0)


# Plateau


def keras(losses, lr, factor, patience, min_delta):
    """ReduceLROnPlateau.on_epoch_end for mode "min", without cooldown and min_lr; the rates after each epoch."""
    best, wait, rates = np.inf, 0, []
    for current in losses:
        if np.less(current, best - min_delta):
            best, wait = current, 0
        else:
            wait += 1
            if wait >= patience:
                lr, wait = lr * factor, 0
        rates.append(lr)
    return rates


def optimiser(lr=1.0):
    return Adam([Tensor(np.ones(1), requires_grad=True)], lr=lr)


@pytest.mark.parametrize("patience", [1, 2, 3, 10])
@pytest.mark.parametrize("min_delta", [0.0, 1e-4, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_plateau_is_keras(patience, min_delta, seed):
    rng = np.random.default_rng(seed)
    losses = [*(2.0 + np.exp(-np.arange(25.0)) + 0.1 * rng.standard_normal(25)), math.nan, *[1.5] * 25]
    adam = optimiser()
    schedule = ReduceOnPlateau(adam, factor=0.5, patience=patience, min_delta=min_delta)
    rates, reduced = [], []
    for loss in losses:
        reduced.append(schedule.step(loss))
        rates.append(adam.lr)
    expected = keras(losses, 1.0, 0.5, patience, min_delta)
    assert rates == expected
    assert reduced == [rate < before for before, rate in zip([1.0, *expected], expected, strict=False)]
    assert schedule.reductions == sum(reduced) > 0


def test_the_defaults_of_keras():
    adam = optimiser(1e-4)
    schedule = ReduceOnPlateau(adam)
    reduced = [schedule.step(1.0) for _ in range(11)]
    assert reduced == [False] * 10 + [True]
    assert_allclose(adam.lr, 1e-5)


def test_a_fall_by_min_delta_exactly_is_none():
    schedule = ReduceOnPlateau(optimiser(), patience=1, min_delta=0.25)
    assert not schedule.step(1.0)
    assert schedule.step(0.75)
    assert not schedule.step(0.5)


def test_plateau_state_round_trip():
    first = ReduceOnPlateau(optimiser(), patience=3)
    for loss in (1.0, 1.0, 1.0):
        first.step(loss)
    second = ReduceOnPlateau(optimiser(), patience=3)
    second.load_state(first.state())
    assert second.step(1.0)
    assert second.reductions == 1
    assert second.best == 1.0


@pytest.mark.parametrize("options", [{"factor": 1.0}, {"factor": 0.0}, {"patience": 0}])
def test_plateau_options_out_of_range(options):
    with pytest.raises(ValueError, match=r"^ReduceOnPlateau: .*expected"):
        ReduceOnPlateau(optimiser(), **options)

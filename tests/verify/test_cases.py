"""What is verified: nothing is left out, the points are ordinary, and a network is a function of its parameters."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from autodiff import Tensor, check, grad, ops, use
from hstn_ref.models import MODELS, build
from hstn_ref.models.options import CHOICES
from hstn_ref.verify.cases import functional, model_cases, op_cases

CASES = op_cases()
NETWORKS = model_cases()

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_network = pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)


def spied(met):
    """`autodiff.ops`, remembering which of its functions were called with which options."""

    def wrap(name):
        def call(*args, **options):
            met.append((name, options))
            return getattr(ops, name)(*args, **options)

        return call

    return SimpleNamespace(**{name: wrap(name) for name in ops.__all__})


def calls():
    met = []
    for case in CASES:
        case.fun(spied(met), *map(Tensor, case.arrays))
    return met


def test_every_op_occurs_in_a_case():
    assert {name for name, _ in calls()} == set(ops.__all__)


def test_the_options_occur():
    met = calls()
    values = {(name, key, str(value)) for name, options in met for key, value in options.items()}
    for op, key, expected in (
        ("bilinear_sample", "border", CHOICES["border"]),
        ("bending_energy", "norm", CHOICES["norm"]),
        ("bending_energy", "form", CHOICES["form"]),
        ("bending_energy", "reduction", CHOICES["reduction"]),
        ("smoothness", "norm", CHOICES["norm"]),
        ("smoothness", "reduction", CHOICES["reduction"]),
        ("conv2d", "padding", ("1", "(2, 0)", "((0, 1), (2, 1))", "same")),
        ("conv2d", "rectify", ("True",)),
        ("conv_transpose2d", "padding", ("1", "((0, 1), (0, 1))", "((1, 0), (1, 0))", "same")),
        ("conv_transpose2d", "output_padding", ("1", "(0, 2)")),
        ("conv_transpose2d", "rectify", ("True",)),
    ):
        assert {(op, key, value) for value in expected} <= values, (op, key)


def test_names_are_unique_and_begin_with_the_op():
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.op for case in CASES} == set(ops.__all__)
    for case in CASES:
        met = []
        case.fun(spied(met), *map(Tensor, case.arrays))
        assert met[0][0] == case.op
    assert len({case.name for case in NETWORKS}) == len(NETWORKS)


def test_cases_are_the_same_every_time():
    for case, again in zip(CASES, op_cases(), strict=True):
        assert case.name == again.name
        for a, b in zip(case.arrays, again.arrays, strict=True):
            assert a.dtype == np.float64
            assert_array_equal(a, b)


@every_case
def test_the_points_are_ordinary(case):
    """A central difference over 2e-5 agrees: no kink is so near."""
    with use("reference"):
        assert all(result.passed for result in check.vjp(lambda *xs: case.fun(ops, *xs), *case.arrays, rtol=1e-7))


@every_case
def test_a_case_is_small(case):
    assert 0 < sum(a.size for a in case.arrays) <= 1200


def test_every_network_and_every_reading_occurs():
    networks = [case.build() for case in NETWORKS]
    assert {network.name for network in networks} == set(MODELS)
    for name in MODELS:
        for key, choices in CHOICES.items():
            met = {network.options.get(key) for network in networks if network.name == name and key != "task"}
            assert met in (set(), {None}, set(choices)), (name, key)
        tasks = {network.task for network in networks if network.name == name}
        assert tasks == ({"classify"} if name == "cnn" else {"classify", "align"})


@every_network
def test_a_network_is_away_from_its_start(case):
    network = case.build()
    assert network.dtype == np.float64 and not network.training
    assert all(parameter.data.all() for parameter in network.parameters())
    stages = network.stages(*([case.images] if network.task == "classify" else [case.images, case.truth]))
    if "motion" in stages:
        motion = stages["motion"]
        assert 0.2 < motion.std() < 3
        assert abs(motion - np.round(motion)).min() > 1e-6
    if "flow" in stages:
        assert stages["flow"].std() > 0.01


@every_network
def test_the_loss_is_a_function_of_the_parameters(case):
    network = case.build()
    before = network.parameters()
    loss = functional(network, case.images, case.truth)
    values = [Tensor(p.data.copy(), requires_grad=True) for p in before]
    gradients = grad(loss(*values), values)
    network.loss(case.images, case.truth).backward()
    assert all(p is q for p, q in zip(network.parameters(), before, strict=True))
    for parameter, gradient in zip(before, gradients, strict=True):
        assert_array_equal(parameter.grad.data, gradient.data)
        assert gradient.data.any()


@every_network
def test_the_loss_takes_the_precision_of_its_values(case):
    network = case.build()
    loss = functional(network, case.images, case.truth)
    single = loss(*(Tensor(p.data.astype(np.float32)) for p in network.parameters()))
    double = network.loss(case.images, case.truth)
    assert single.dtype == np.float32 and double.dtype == np.float64 == network.dtype
    assert abs(single.item() - double.item()) < 1e-5 * abs(double.item())  # some thousand roundings of 6e-8


def test_parameters_come_back_after_an_error():
    network = build("cnn", image_size=(22, 22), dtype=np.float64)
    before = network.parameters()
    loss = functional(network, np.zeros((1, 1, 22, 22)), [10])
    with pytest.raises(ValueError, match="label 10"):
        loss(*(Tensor(p.data) for p in before))
    assert all(p is q for p, q in zip(network.parameters(), before, strict=True))

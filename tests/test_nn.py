"""Modules: which parameters they find and under which names, their state, training and evaluation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, grad, nn, ops
from autodiff.optim import Adam

DTYPES = (np.float32, np.float64)


def rng():
    return np.random.default_rng(0)


class Net(nn.Module):
    def __init__(self, dtype=np.float32):
        self.scale = nn.Parameter(np.ones(1, dtype))
        self.body = nn.Sequential(
            nn.Dense(4, 3, rng=rng(), dtype=dtype), nn.ReLU(), nn.Dense(3, 3, rng=rng(), dtype=dtype)
        )
        self.heads = [nn.Dense(3, 2, rng=rng(), dtype=dtype), nn.Dropout(0.5, rng())]
        self.sizes = [1, 2]

    def forward(self, x):
        x = self.body(x) * self.scale
        for head in self.heads:
            x = head(x)
        return x


NAMES = ["scale", "body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias", "heads.0.weight", "heads.0.bias"]


def test_names_are_paths_of_attributes():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [p is q for p, (_, q) in zip(net.parameters(), net.named_parameters(), strict=True)] == [True] * 7
    assert dict(net.named_parameters())["body.2.weight"] is net.body.layers[2].weight


def test_a_shared_parameter_appears_once_under_its_first_name():
    class Tied(nn.Module):
        def __init__(self):
            self.first, self.second = nn.Dense(2, 2, rng=rng()), nn.Dense(2, 2, rng=rng())
            self.second.weight = self.first.weight
            self.again = self.first

    assert [name for name, _ in Tied().named_parameters()] == ["first.weight", "first.bias", "second.bias"]


def test_a_module_without_parameters():
    assert nn.Sequential(nn.ReLU(), nn.Flatten()).parameters() == []


def test_parameters_get_gradients():
    net = Net()
    net(Tensor(np.ones((5, 4), np.float32))).sum().backward()
    assert all(p.grad.shape == p.shape and p.grad.dtype == np.float32 for p in net.parameters())


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    assert len(list(net.modules())) == 7


def test_dropout_only_while_training():
    x = Tensor(np.ones((10, 10)))
    layer = nn.Dropout(0.5, rng())
    assert_array_equal(layer(x).data, ops.dropout(x, 0.5, rng()).data)
    assert layer.eval()(x) is x


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_parameters(dtype):
    assert {p.dtype for p in Net(dtype).parameters()} == {np.dtype(dtype)}


# Layers are their ops


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense(dtype):
    layer = nn.Dense(4, 3, rng=rng(), dtype=dtype)
    layer.bias.data = np.arange(3, dtype=dtype)
    x = np.ones((2, 4), dtype)
    assert_allclose(layer(Tensor(x)).data, x @ layer.weight.data.T + layer.bias.data, rtol=1e-6)


def test_flatten_relu_sequential():
    x = np.arange(-12.0, 12.0).reshape(2, 3, 2, 2)
    y = nn.Sequential(nn.Flatten(), nn.ReLU())(Tensor(x))
    assert_array_equal(y.data, np.maximum(x.reshape(2, 12), 0))


def test_a_relu_in_the_pass_before_it():
    """Layer by layer and in one pass: the same numbers and gradients."""
    r = rng()
    layers = [nn.Conv2d(1, 3, 3, rng=r), nn.ReLU(), nn.ConvTranspose2d(3, 4, 2, rng=r), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.ReLU(), nn.ReLU(), nn.Conv2d(4, 6, 2, rng=r), nn.Dropout(0.0, r), nn.ReLU()]
    x = Tensor(rng().standard_normal((2, 1, 9, 8)).astype(np.float32), requires_grad=True)
    together = nn.Sequential(*layers)(x)
    apart = x
    for layer in layers:
        apart = layer(apart)
    assert_array_equal(together.data, apart.data)
    assert 0 < (together.data > 0).mean() < 1
    variables = [x, *nn.Sequential(*layers).parameters()]
    for a, b in zip(grad(together.sum(), variables), grad(apart.sum(), variables), strict=True):
        assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("dtype", DTYPES)
def test_conv2d(dtype):
    x = Tensor(rng().standard_normal((2, 3, 9, 8)).astype(dtype))
    layer = nn.Conv2d(3, 4, 3, rng=rng(), stride=2, padding=1, dtype=dtype)
    layer.bias.data = np.arange(4, dtype=dtype)
    y = layer(x)
    assert_array_equal(y.data, ops.conv2d(x, layer.weight, layer.bias, stride=2, padding=1).data)
    assert y.shape == (2, 4, 5, 4)
    assert y.dtype == dtype
    assert layer.weight.shape == (4, 3, 3, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_conv_transpose2d(dtype):
    x = Tensor(rng().standard_normal((2, 3, 4, 5)).astype(dtype))
    layer = nn.ConvTranspose2d(3, 2, 4, rng=rng(), stride=2, dtype=dtype)
    layer.bias.data = np.arange(2, dtype=dtype)
    assert_array_equal(layer(x).data, ops.conv_transpose2d(x, layer.weight, layer.bias, stride=2).data)
    assert layer(x, 1).shape == (2, 2, 8, 10)
    assert layer.weight.shape == (3, 2, 4, 4)


def test_max_pool2d():
    x = Tensor(rng().standard_normal((2, 3, 4, 6)))
    assert_array_equal(nn.MaxPool2d(2)(x).data, x.data.reshape(2, 3, 2, 2, 3, 2).max(axis=(3, 5)))


def test_a_module_without_forward():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"^Empty defines no forward$"):
        Empty()(1)


# Initial values


@pytest.mark.parametrize(
    "layer, fan_in",
    [
        (nn.Dense(300, 200, rng=rng()), 300),
        (nn.Conv2d(30, 50, 5, rng=rng()), 30 * 25),
        (nn.ConvTranspose2d(40, 40, 4, rng=rng(), stride=2), 40 * 4),
    ],
    ids=["dense", "conv2d", "conv_transpose2d"],
)
def test_weights_begin_with_variance_two_over_fan_in(layer, fan_in):
    w = layer.weight.data
    assert_allclose(w.var(), 2 / fan_in, rtol=0.05)  # over 20,000 numbers: 5 standard deviations and more
    assert abs(w.mean()) < 0.05 * w.std()
    assert np.abs(w).max() <= np.sqrt(6 / fan_in)
    assert_array_equal(layer.bias.data, np.zeros_like(layer.bias.data))


def test_the_seed_decides_the_weights():
    first, again, other = (nn.Dense(3, 3, rng=np.random.default_rng(seed)).weight.data for seed in (0, 0, 1))
    assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_zero_initial_weights():
    for layer in (nn.Dense(3, 6, rng=rng(), initial=nn.zeros), nn.Conv2d(3, 2, 3, rng=rng(), initial=nn.zeros)):
        assert_array_equal(layer.weight.data, np.zeros_like(layer.weight.data))
        assert layer.weight.dtype == np.float32


# State


def test_state_round_trip():
    source, target = Net(), Net(np.float64)
    for p in source.parameters():
        p.data = rng().standard_normal(p.shape).astype(p.dtype)
    target.load_state(source.state())
    assert list(source.state()) == NAMES
    for p, q in zip(source.parameters(), target.parameters(), strict=True):
        assert_array_equal(p.data, q.data)
        assert q.dtype == np.float64


def test_load_state_copies():
    source, target = Net(), Net()
    target.load_state(source.state())
    target.scale.data[...] = 7.0
    assert source.scale.data == 1.0


def test_a_state_does_not_change_while_training_goes_on():
    net = Net().eval()
    state = net.state()
    before = {name: a.copy() for name, a in state.items()}
    optimiser = Adam(net.parameters(), lr=0.1)
    net(Tensor(np.ones((5, 4), np.float32))).sum().backward()
    optimiser.step()
    assert not np.array_equal(net.scale.data, before["scale"])
    for name, a in state.items():
        assert_array_equal(a, before[name])


def without(state, name):
    return {k: v for k, v in state.items() if k != name}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: without(without(s, "scale"), "body.0.bias"), r"^Net: the state lacks body\.0\.bias, scale$"),
        (lambda s: {**s, "more": np.ones(1)}, "^Net: the state has unexpected more$"),
        (lambda s: {**s, "body.2.bias": np.ones(4)}, r"^Net: body\.2\.bias has shape \(4,\), expected \(3,\)$"),
    ],
    ids=["missing", "unexpected", "another shape"],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    net = Net()
    state = {name: a + 1 for name, a in net.state().items()}
    before = net.state()
    with pytest.raises(ValueError, match=message):
        net.load_state(change(state))
    for name, a in net.state().items():
        assert_array_equal(a, before[name])


def test_parameters_in_a_list_are_found():
    class Net(nn.Module):
        def __init__(self):
            self.scales = [nn.Parameter(np.ones(2)), nn.Parameter(np.zeros(3))]

    assert {name: parameter.shape for name, parameter in Net().named_parameters()} == {
        "scales.0": (2,),
        "scales.1": (3,),
    }


def test_parameters_in_dictionaries_and_nested_lists_are_found():
    class Net(nn.Module):
        def __init__(self):
            self.heads = {
                "a": nn.Dense(2, 1, rng=np.random.default_rng(0)),
                "b": [nn.Dense(1, 1, rng=np.random.default_rng(0))],
            }

    names = [name for name, _ in Net().named_parameters()]
    assert names == ["heads.a.weight", "heads.a.bias", "heads.b.0.weight", "heads.b.0.bias"]


def test_a_sequential_has_its_layers_and_its_other_attributes():
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Dense(2, 3, rng=np.random.default_rng(0)), nn.ReLU())
            self.head = nn.Dense(3, 1, rng=np.random.default_rng(0))

    assert [name for name, _ in Net().named_parameters()] == ["0.weight", "0.bias", "head.weight", "head.bias"]
    with pytest.raises(TypeError, match="Sequential: layer 1 is a function, expected a Module"):
        nn.Sequential(nn.ReLU(), ops.relu)

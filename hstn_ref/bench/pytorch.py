"""The cases in PyTorch, in the modes that a user would try."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from hstn_ref.bench import ours
from hstn_ref.bench.cases import NETWORKS, Case
from hstn_ref.peers import pytorch


def start() -> None:
    torch._inductor.config.compile_threads = 1  # no pool of processes that compile in the background
    os.environ.setdefault("TORCHINDUCTOR_FX_GRAPH_CACHE", "1")


def set_threads(count: int) -> None:
    torch.set_num_threads(count)


def network(case: Case, dtype: str = "float32") -> torch.nn.Module:
    """The network with the same numbers as ours."""
    name, options = NETWORKS[case.name]
    model = pytorch.build(name, **options, image_size=(case.size, case.size))
    model.to(getattr(torch, dtype))
    model.load_state_dict({k: torch.from_numpy(v) for k, v in ours.network(case, dtype).state().items()})
    return model


def prepare(case: Case, mode: str) -> Callable[[], None]:
    """A function that computes the case once."""
    if case.kind in ("step", "inference"):
        images, labels = (torch.from_numpy(a) for a in ours.data(case))
        model = network(case)
        if mode != "eager":
            model, images = model.to(memory_format=torch.channels_last), _last(images)
        if case.kind == "inference":
            infer = torch.compile(model.eval()) if mode == "compile" else model.eval()
            with torch.inference_mode():
                infer(images)

            def inference() -> None:
                with torch.inference_mode():
                    infer(images)

            return inference
        optimiser = torch.optim.Adam(model.parameters())
        loss = torch.compile(model.loss) if mode == "compile" else model.loss

        def step() -> None:
            optimiser.zero_grad()
            loss(images, labels).backward()
            optimiser.step()

        return step
    x, weight, bias, gy = (torch.from_numpy(a) for a in ours.layer_arrays(case))
    if mode != "eager":
        x, weight, gy = _last(x), _last(weight), _last(gy)
    if case.kind == "forward":

        def forward() -> None:
            with torch.inference_mode():
                _apply(case, x, weight, bias)

        return forward
    variables = [x.requires_grad_(case.layer.gradient_x), weight.requires_grad_(), bias.requires_grad_()]

    def both() -> None:
        for variable in variables:
            variable.grad = None
        _apply(case, *variables).backward(gy)

    return both


def values(case: Case, dtype: str) -> list[np.ndarray]:
    """What the case computes, without dropout: loss or results, and the gradients to all variables."""
    if case.kind in ("step", "inference"):
        images, labels = (torch.from_numpy(a) for a in ours.data(case, dtype))
        model = network(case, dtype).eval()
        if case.kind == "inference":
            return [model(images).detach().numpy()]
        loss = model.loss(images, labels)
        loss.backward()
        named = dict(model.named_parameters())
        order = (name for name, _ in ours.network(case).named_parameters())
        return [loss.detach().numpy(), *(named[name].grad.numpy() for name in order)]
    x, weight, bias, gy = (torch.from_numpy(a) for a in ours.layer_arrays(case, dtype))
    variables = [x.requires_grad_(case.layer.gradient_x), weight.requires_grad_(), bias.requires_grad_()]
    y = _apply(case, *variables)
    y.backward(gy)
    return [y.detach().numpy(), *(v.grad.numpy() for v in variables if v.grad is not None)]


def _last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _apply(case: Case, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    if case.layer.padding == "double":
        size = case.layer.result_size
        return F.conv_transpose2d(x, weight, bias, stride=2)[:, :, :size, :size]
    return F.conv2d(x, weight, bias, padding=case.layer.kernel // 2 if case.layer.padding == "same" else 0)

"""What is measured: training steps, inference, and the convolution layers of the paper's networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {  # name: model and options
    "CNN": ("cnn", {}),
    "Affine-STN": ("affine_stn", {}),
    "TPS-STN": ("tps_stn", {}),
    "C-STN-4": ("c_stn", {"steps": 4}),
    "HSTN small": ("hstn", {"preset": "small"}),
    "HSTN paper": ("hstn", {"preset": "paper"}),
}


class Layer(NamedTuple):
    """A convolution of images (N, C, size, size), or the transposed convolution with stride 2 that doubles them."""

    C: int
    size: int
    K: int
    kernel: int
    padding: str = "valid"  # or "same", or "double", for the transposed convolution
    gradient_x: bool = True  # a layer that sees the network's input has none

    def __str__(self) -> str:
        kind = "deconv" if self.padding == "double" else self.padding
        return f"{self.C} to {self.K}, {self.kernel}x{self.kernel} {kind}, {self.size}x{self.size}"

    @property
    def result_size(self) -> int:
        return {"valid": self.size - self.kernel + 1, "same": self.size, "double": 2 * self.size}[self.padding]

    @property
    def gflop(self) -> float:
        """Of the forward pass of one image: a multiplication and an addition for each product of (1)."""
        pixels = self.size if self.padding == "double" else self.result_size  # where the filter is laid
        return 2e-9 * pixels**2 * self.C * self.K * self.kernel**2


LAYERS = (
    Layer(1, 60, 32, 3),  # the CNN
    Layer(32, 29, 32, 3),
    Layer(32, 13, 32, 3),
    Layer(1, 60, 20, 5, gradient_x=False),  # localisation
    Layer(20, 28, 20, 5),
    Layer(20, 12, 20, 5),
    Layer(32, 58, 32, 3),  # localisation of TPS-STN, after the first of the CNN
    Layer(32, 28, 64, 3),
    Layer(64, 26, 64, 3),
    Layer(64, 12, 128, 3),
    Layer(128, 10, 128, 3),
    Layer(1, 60, 16, 3, "same"),  # flow generator, small
    Layer(16, 30, 32, 3, "same"),
    Layer(32, 15, 64, 1, "same"),
    Layer(64, 15, 32, 3, "double"),
    Layer(64, 30, 32, 3, "same"),
    Layer(32, 30, 16, 3, "double"),
    Layer(32, 60, 16, 3, "same"),
    Layer(16, 60, 2, 3, "same"),
    Layer(1, 60, 32, 3, "same"),  # flow generator, paper
    Layer(32, 60, 32, 3, "same"),
    Layer(32, 30, 64, 3, "same"),
    Layer(64, 30, 64, 3, "same"),
    Layer(64, 15, 128, 1, "same"),
    Layer(128, 15, 64, 3, "double"),
    Layer(128, 30, 64, 3, "same"),
    Layer(64, 30, 32, 3, "double"),
    Layer(64, 60, 32, 3, "same"),
    Layer(32, 60, 2, 3, "same"),
)


@dataclass(frozen=True)
class Case:
    """One thing to be timed.

    kind       "step" (forward, backward, Adam), "inference", or of a layer "forward", "forward + backward"
    name       of a network or a layer
    """

    kind: str
    name: str
    threads: int
    batch: int = 64
    size: int = 60

    @cached_property  # looked up in what is timed, by every framework
    def layer(self) -> Layer:
        return next(layer for layer in LAYERS if str(layer) == self.name)

    def state(self) -> dict[str, Any]:
        """What a worker needs to build it."""
        return asdict(self)


def cases(what: set[str], threads: list[int]) -> Iterator[Case]:
    """All cases of the parts in `what`: "steps", "inference", "layers"."""
    for count in threads:
        if "steps" in what:
            yield from (Case("step", name, count) for name in NETWORKS)
        if "inference" in what:
            yield from (Case("inference", name, count, batch) for batch in (1, 64) for name in NETWORKS)
        if "layers" in what:
            for layer in LAYERS:
                yield from (Case(kind, str(layer), count) for kind in ("forward", "forward + backward"))


def growth(threads: int) -> Iterator[Case]:
    """Training steps of HSTN small: growing batches, images, and numbers of threads."""
    yield from (Case("step", "HSTN small", threads, batch=batch) for batch in (8, 16, 32, 64, 128, 256))
    yield from (Case("step", "HSTN small", threads, batch=16, size=size) for size in (40, 60, 90, 120, 180))
    yield from (Case("step", "HSTN small", count) for count in range(1, threads + 1))

"""Which way a filter lies and where it starts."""

from __future__ import annotations

from .probe import Probe, row, value


def alignments() -> list[Probe]:
    def probe(question, options, image, weight, op="conv2d", **more):
        def fun(ops, x, w):
            return getattr(ops, op)(x, w, **options)

        return Probe("Alignment", question, fun, (row(*image), row(*weight)), value, **more)

    def deconvolution(padding, turned=False):
        def fun(ops, x, w):
            return ops.conv_transpose2d(x, w[..., ::-1] if turned else w, stride=(1, 2), padding=padding)

        return fun

    last, first = ((0, 0), (0, 1)), ((0, 0), (1, 0))
    half = {"op": "conv_transpose2d", "image": (1, 10), "weight": (1, 2, 3)}
    return [
        probe("the filter 1 2 3 over 0 0 1 0 0", {}, (0, 0, 1, 0, 0), (1, 2, 3)),
        probe('the filter 1 10 over 1 2 3 4, padding "same"', {"padding": "same"}, (1, 2, 3, 4), (1, 10)),
        probe(
            'the filter 1 10 100 1000 over 1 2 3, padding "same"', {"padding": "same"}, (1, 2, 3), (1, 10, 100, 1000)
        ),
        probe(
            'the filter 1 10 100 over 1 2 3 4, stride 2, padding "same"',
            {"padding": "same", "stride": (1, 2)},
            (1, 2, 3, 4),
            (1, 10, 100),
            native={"torch": "strided_same", "jax": "strided_same"},
            like={
                "jax": (
                    "padding=((0, 0), (0, 1))",
                    lambda ops, x, w: ops.conv2d(x, w, stride=(1, 2), padding=last),
                )
            },
        ),
        probe("deconvolution of 1 10 by the filter 1 2 3, stride 2", {"stride": (1, 2)}, **half),
        probe(
            'the same to twice the size: crop "last", padding=1 with output_padding=1, "SAME"',
            {"stride": (1, 2), "padding": last},
            **half,
            native={"torch": "deconvolution", "jax": "deconvolution"},
            like={"torch": ('crop "first", padding=((0, 0), (1, 0))', deconvolution(first))},
        ),
        probe(
            "the same without transpose_kernel",
            {"stride": (1, 2), "padding": last},
            **half,
            native={"jax": "deconvolution_default"},
            lacks={"torch": "no such option"},
            like={"jax": ("the filter turned round", deconvolution(last, turned=True))},
        ),
    ]

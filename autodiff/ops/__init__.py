"""The ops. One that NumPy says in a line stays one file; one that needs kernels is a folder with a module a voice."""

from .activation import softmax
from .arithmetic import abs, add, divide, exp, log, matmul, maximum, multiply, power, sqrt, subtract
from .bilinear_sample import bilinear_sample, splat
from .conv2d import conv2d
from .conv_transpose2d import conv_transpose2d
from .dense import dense
from .dropout import dropout
from .flow_penalty import bending_energy, smoothness
from .loss import softmax_cross_entropy
from .max_pool2d import max_pool2d
from .reduce import broadcast_to, mean, sum
from .relu import relu
from .shape import concatenate, reshape, take, transpose

__all__ = [
    "abs",
    "add",
    "bending_energy",
    "bilinear_sample",
    "broadcast_to",
    "concatenate",
    "conv2d",
    "conv_transpose2d",
    "dense",
    "divide",
    "dropout",
    "exp",
    "log",
    "matmul",
    "max_pool2d",
    "maximum",
    "mean",
    "multiply",
    "power",
    "relu",
    "reshape",
    "smoothness",
    "softmax",
    "softmax_cross_entropy",
    "splat",
    "sqrt",
    "subtract",
    "sum",
    "take",
    "transpose",
]

"""Images to train on: MNIST digits, clutter around them, and the files they are kept in.

Read in this order: digits, clutter, datasets, hdf5, opening.
"""

from hstn_ref.data.checks import validate_images, validate_labels
from hstn_ref.data.clutter import Clutter
from hstn_ref.data.datasets import ArrayDataset, ClutteredDigits, Dataset, DataSplits
from hstn_ref.data.digits import Digits, DigitSplits, load_embedded, load_mnist
from hstn_ref.data.download import MNIST_URL, download_mnist
from hstn_ref.data.hdf5 import HDF5Dataset, read_hdf5, write_dataset
from hstn_ref.data.idx import read_idx
from hstn_ref.data.inspection import inspect
from hstn_ref.data.npz import read_npz
from hstn_ref.data.opening import open_data

__all__ = [
    "MNIST_URL",
    "ArrayDataset",
    "Clutter",
    "ClutteredDigits",
    "DataSplits",
    "Dataset",
    "DigitSplits",
    "Digits",
    "HDF5Dataset",
    "download_mnist",
    "inspect",
    "load_embedded",
    "load_mnist",
    "open_data",
    "read_hdf5",
    "read_idx",
    "read_npz",
    "validate_images",
    "validate_labels",
    "write_dataset",
]

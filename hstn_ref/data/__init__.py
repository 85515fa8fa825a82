"""Images to train on: MNIST digits and the clutter around them, photographs and their deformations, and files.

Read in this order: digits, clutter, datasets, hdf5, opening; images, deformations, pairs.
"""

from hstn_ref.data.checks import validate_images, validate_labels
from hstn_ref.data.clutter import Clutter
from hstn_ref.data.datasets import ArrayDataset, ClutteredDigits, Dataset, DataSplits
from hstn_ref.data.deformations import Deformation, Pair, random_pair
from hstn_ref.data.digits import Digits, DigitSplits, load_embedded, load_mnist
from hstn_ref.data.download import MNIST_URL, download_mnist
from hstn_ref.data.hdf5 import HDF5Dataset, read_hdf5, write_dataset
from hstn_ref.data.idx import read_idx
from hstn_ref.data.images import load_photographs, read_folder, read_image, to_eight_bits, to_grey
from hstn_ref.data.inspection import inspect
from hstn_ref.data.npz import read_npz
from hstn_ref.data.opening import open_data
from hstn_ref.data.pairs import ImagePairs, open_pairs

__all__ = [
    "MNIST_URL",
    "ArrayDataset",
    "Clutter",
    "ClutteredDigits",
    "DataSplits",
    "Dataset",
    "Deformation",
    "DigitSplits",
    "Digits",
    "HDF5Dataset",
    "ImagePairs",
    "Pair",
    "download_mnist",
    "inspect",
    "load_embedded",
    "load_mnist",
    "load_photographs",
    "open_data",
    "open_pairs",
    "random_pair",
    "read_folder",
    "read_hdf5",
    "read_idx",
    "read_image",
    "read_npz",
    "to_eight_bits",
    "to_grey",
    "validate_images",
    "validate_labels",
    "write_dataset",
]

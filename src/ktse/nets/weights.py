"""Every loader of foreign weights under one name; each lives beside what it knows about."""

from __future__ import annotations

from ktse.nets.known_weights import KNOWN_WEIGHTS, KnownWeights, find_weights, known_weights, weights_folder
from ktse.nets.mxnet_params import read_mxnet_params
from ktse.nets.published_deeplab import load_published_deeplab, load_published_deeplab_pair
from ktse.nets.published_irnet import load_published_irnet
from ktse.nets.published_localizer import load_published_localizer
from ktse.nets.resnet38d_weights import load_imagenet_resnet38d
from ktse.nets.weight_contents import Contents, check_weights, recognise
from ktse.nets.weight_files import read_checkpoint, read_weights
from ktse.nets.weight_store import check_file, pull

__all__ = [
    "KNOWN_WEIGHTS",
    "Contents",
    "KnownWeights",
    "check_file",
    "check_weights",
    "find_weights",
    "known_weights",
    "load_imagenet_resnet38d",
    "load_published_deeplab",
    "load_published_deeplab_pair",
    "load_published_irnet",
    "load_published_localizer",
    "pull",
    "read_checkpoint",
    "read_mxnet_params",
    "read_weights",
    "recognise",
    "weights_folder",
]

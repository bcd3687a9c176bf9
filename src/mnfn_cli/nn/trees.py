"""Predictions of regression trees that are stored as plain arrays."""

import torch
from torch import Tensor

from mnfn_cli.models.functional import FittedBuffers

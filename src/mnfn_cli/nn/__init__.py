"""Neural-functional layers: equivariant linear maps, activations, invariant steps, encodings and statistics."""

from typing import TYPE_CHECKING

from mnfn_cli.lazy_names import lazy_names

if TYPE_CHECKING:
    from mnfn_cli.nn.activation import ChannelDropout as ChannelDropout
    from mnfn_cli.nn.activation import EquivariantActivation as EquivariantActivation
    from mnfn_cli.nn.activation import Pointwise as Pointwise
    from mnfn_cli.nn.blockwise import BlockwiseInvariant as BlockwiseInvariant
    from mnfn_cli.nn.canonical_statistics import CanonicalStatistics as CanonicalStatistics
    from mnfn_cli.nn.encodings import GaussianFourierFeatures as GaussianFourierFeatures
    from mnfn_cli.nn.encodings import InputOutputEmbedding as InputOutputEmbedding
    from mnfn_cli.nn.encodings import InputOutputEncoding as InputOutputEncoding
    from mnfn_cli.nn.fitted import FittedBuffers as FittedBuffers
    from mnfn_cli.nn.graded import GradedLayer as GradedLayer
    from mnfn_cli.nn.graded_edges import GradedEdgeLayer as GradedEdgeLayer
    from mnfn_cli.nn.graded_features import GradedEncoding as GradedEncoding
    from mnfn_cli.nn.graded_features import GradedFeatures as GradedFeatures
    from mnfn_cli.nn.graph import Graph as Graph
    from mnfn_cli.nn.graph import GraphPool as GraphPool
    from mnfn_cli.nn.graph import MessagePassing as MessagePassing
    from mnfn_cli.nn.graph import NeuralGraph as NeuralGraph
    from mnfn_cli.nn.head import Ensemble as Ensemble
    from mnfn_cli.nn.head import mlp_head as mlp_head
    from mnfn_cli.nn.inputs import SmoothProbes as SmoothProbes
    from mnfn_cli.nn.invariant import AbsoluteValue as AbsoluteValue
    from mnfn_cli.nn.invariant import MeanPool as MeanPool
    from mnfn_cli.nn.invariant import NormalizeEntries as NormalizeEntries
    from mnfn_cli.nn.invariant_statistics import InvariantStatistics as InvariantStatistics
    from mnfn_cli.nn.mean_field import MeanFieldStatistics as MeanFieldStatistics
    from mnfn_cli.nn.messages import EdgeMessages as EdgeMessages
    from mnfn_cli.nn.messages import MessageLayer as MessageLayer
    from mnfn_cli.nn.monomial import MonomialLinear as MonomialLinear
    from mnfn_cli.nn.permutation import HNPLinear as HNPLinear
    from mnfn_cli.nn.permutation import NPLinear as NPLinear
    from mnfn_cli.nn.points import ProbePoints as ProbePoints
    from mnfn_cli.nn.probe_statistics import ProbeStatistics as ProbeStatistics
    from mnfn_cli.nn.questions import LearnedProbes as LearnedProbes
    from mnfn_cli.nn.scaling import LearnedScale as LearnedScale
    from mnfn_cli.nn.scaling import RescalePositions as RescalePositions
    from mnfn_cli.nn.scaling import Standardize as Standardize
    from mnfn_cli.nn.scaling import UnitScale as UnitScale
    from mnfn_cli.nn.statistics import TensorStatistics as TensorStatistics

__all__ = [
    "AbsoluteValue",
    "BlockwiseInvariant",
    "CanonicalStatistics",
    "ChannelDropout",
    "EdgeMessages",
    "Ensemble",
    "EquivariantActivation",
    "FittedBuffers",
    "GaussianFourierFeatures",
    "GradedEdgeLayer",
    "GradedEncoding",
    "GradedFeatures",
    "GradedLayer",
    "Graph",
    "GraphPool",
    "HNPLinear",
    "InputOutputEmbedding",
    "InputOutputEncoding",
    "InvariantStatistics",
    "LearnedProbes",
    "LearnedScale",
    "MeanFieldStatistics",
    "MeanPool",
    "MessageLayer",
    "MessagePassing",
    "MonomialLinear",
    "NPLinear",
    "NeuralGraph",
    "NormalizeEntries",
    "Pointwise",
    "ProbePoints",
    "ProbeStatistics",
    "RescalePositions",
    "SmoothProbes",
    "Standardize",
    "TensorStatistics",
    "UnitScale",
    "mlp_head",
]

__getattr__ = lazy_names(
    __name__,
    {
        "mnfn_cli.nn.activation": "ChannelDropout EquivariantActivation Pointwise",
        "mnfn_cli.nn.blockwise": "BlockwiseInvariant",
        "mnfn_cli.nn.canonical_statistics": "CanonicalStatistics",
        "mnfn_cli.nn.encodings": "GaussianFourierFeatures InputOutputEmbedding InputOutputEncoding",
        "mnfn_cli.nn.fitted": "FittedBuffers",
        "mnfn_cli.nn.graded": "GradedLayer",
        "mnfn_cli.nn.graded_edges": "GradedEdgeLayer",
        "mnfn_cli.nn.graded_features": "GradedEncoding GradedFeatures",
        "mnfn_cli.nn.graph": "Graph GraphPool MessagePassing NeuralGraph",
        "mnfn_cli.nn.head": "Ensemble mlp_head",
        "mnfn_cli.nn.inputs": "SmoothProbes",
        "mnfn_cli.nn.invariant": "AbsoluteValue MeanPool NormalizeEntries",
        "mnfn_cli.nn.invariant_statistics": "InvariantStatistics",
        "mnfn_cli.nn.mean_field": "MeanFieldStatistics",
        "mnfn_cli.nn.messages": "EdgeMessages MessageLayer",
        "mnfn_cli.nn.monomial": "MonomialLinear",
        "mnfn_cli.nn.permutation": "HNPLinear NPLinear",
        "mnfn_cli.nn.points": "ProbePoints",
        "mnfn_cli.nn.probe_statistics": "ProbeStatistics",
        "mnfn_cli.nn.questions": "LearnedProbes",
        "mnfn_cli.nn.scaling": "LearnedScale RescalePositions Standardize UnitScale",
        "mnfn_cli.nn.statistics": "TensorStatistics",
    },
)

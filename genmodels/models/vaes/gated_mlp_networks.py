"""The dense networks of VampPrior (Tomczak & Welling, AISTATS 2018, arXiv:1705.07120)."""

from genmodels.models.vaes.networks import DenseNetworks
from genmodels.networks.gated_mlp import GatedMLP
from genmodels.ranges import at_least


class GatedMLPNetworks(DenseNetworks):
    """Two perceptrons of gated units; in the official code of 300 and 300. A label is concatenated to the input.

    The official code's log-variances of q, cut to [-6, 2], are those of `model/posterior=diagonal_bounded`.

    Args:
        width: units of a hidden layer.
        num_hidden: hidden layers of either.
    Raises:
        UserError: a number is out of its range.
    """

    def __init__(self, width: int = 300, num_hidden: int = 2) -> None:
        at_least(1, under="model.networks.", width=width, num_hidden=num_hidden)
        self.width, self.num_hidden = width, num_hidden

    def _net(self, in_features: int, out_features: int, context_features: int) -> GatedMLP:
        return GatedMLP(in_features, out_features, self.width, self.num_hidden, context_features)

"""Invertible maps with log-determinants, one idea per file."""

from genmodels.bijections.actnorm import ActNorm
from genmodels.bijections.actnorm_conv1x1 import ActNormConv1x1
from genmodels.bijections.affine import (
    Affine,
    Gated,
    GaussianConditional,
    ScaleShift,
    SigmoidAffine,
    Standardize,
    TanhAffine,
)
from genmodels.bijections.amortized import Amortized, MapFamily
from genmodels.bijections.autoregressive import Autoregressive, InvertedBy
from genmodels.bijections.base import Bijection
from genmodels.bijections.batch_norm import FlowBatchNorm
from genmodels.bijections.column_split import ColumnSplit
from genmodels.bijections.compose import Compose, Inverse
from genmodels.bijections.continuous import Continuous, Costs, Integration, integrating
from genmodels.bijections.conv1x1 import InvertibleConv1x1
from genmodels.bijections.coupling import Coupling, MaskedCoupling, checkerboard
from genmodels.bijections.elementwise import Additive, Elementwise
from genmodels.bijections.linear import PLU, QR, Diagonal, Linear, Triangular
from genmodels.bijections.log_det_estimators import BruteForce, LogDetEstimator, PowerSeries, RussianRoulette
from genmodels.bijections.mixture_logistic import MixtureLogistic
from genmodels.bijections.multiscale import FactorOut, OnHalf
from genmodels.bijections.ode_solver import Solver, telling_of_stiffness
from genmodels.bijections.on_part import OnPart
from genmodels.bijections.patches import Patched
from genmodels.bijections.permutation import Flip, Permutation, Reverse, Shuffle
from genmodels.bijections.planar import PLANAR, Planar
from genmodels.bijections.position_norm import PositionNorm
from genmodels.bijections.preprocessing import Centre, Flattened, Logit, Shift
from genmodels.bijections.radial import RADIAL, Radial
from genmodels.bijections.residual import InvertibleResidual
from genmodels.bijections.reversible import reversibly
from genmodels.bijections.scale import Scale
from genmodels.bijections.squeeze import Squeezed, squeeze, unsqueeze
from genmodels.bijections.top_prior import LearnedTopPrior
from genmodels.bijections.whole_set_norm import WholeSetBatchNorm

"""Objectives: a model and a batch in, a loss and the metrics to log out."""

from genmodels.objectives.ada import AdaptiveAugment
from genmodels.objectives.adversarial import Adversarial
from genmodels.objectives.augmentation import Augmentation
from genmodels.objectives.consistency import Consistency
from genmodels.objectives.cycle_consistency import CycleConsistency
from genmodels.objectives.diffaugment import DiffAugment
from genmodels.objectives.elbo import ELBO
from genmodels.objectives.flow_matching import FlowMatching
from genmodels.objectives.games import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from genmodels.objectives.iwae import IWAE
from genmodels.objectives.nll import NegativeLogLikelihood
from genmodels.objectives.objective import Loss, Objective, Selection
from genmodels.objectives.orthogonality import Orthogonal
from genmodels.objectives.path_length import PathLength
from genmodels.objectives.penalties import R1, GradientPenalty, WeightClipping
from genmodels.objectives.penalty import GeneratorPenalty, Penalty
from genmodels.objectives.reverse_kl import ReverseKL
from genmodels.objectives.rnode import RNODE
from genmodels.objectives.units import in_reported_unit, metric_name

"""Training: the Lightning modules, their optimisers and schedules, and the callbacks that make up a run."""

from genmodels.training.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from genmodels.training.checkpoints import Checkpoints
from genmodels.training.curves import Curves
from genmodels.training.ema import EMA
from genmodels.training.final_validation import FinalValidation
from genmodels.training.interrupt import Interrupt
from genmodels.training.invertibility import Invertibility
from genmodels.training.likelihood import LikelihoodModule
from genmodels.training.loggers import build_loggers, close_loggers
from genmodels.training.metrics import StepMetrics
from genmodels.training.nan_guard import NaNGuard
from genmodels.training.optimizers import GlowAdamax
from genmodels.training.progress import RunProgress
from genmodels.training.quiet import quieten
from genmodels.training.resume import Resume
from genmodels.training.samples import Samples

__all__ = [
    "EMA",
    "AtomicCheckpointIO",
    "Checkpoints",
    "Curves",
    "FinalValidation",
    "GlowAdamax",
    "Interrupt",
    "Invertibility",
    "LikelihoodModule",
    "NaNGuard",
    "Resume",
    "RunProgress",
    "Samples",
    "StepMetrics",
    "build_loggers",
    "close_loggers",
    "quieten",
    "read_checkpoint",
]

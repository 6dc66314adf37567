"""Training: the Lightning modules, their optimisers and schedules, and the callbacks that make up a run."""

from genmodels.training.callbacks.checkpoints import Checkpoints
from genmodels.training.callbacks.curves import Curves
from genmodels.training.callbacks.ema import EMA
from genmodels.training.callbacks.final_validation import FinalValidation
from genmodels.training.callbacks.interrupt import Interrupt
from genmodels.training.callbacks.invertibility import Invertibility
from genmodels.training.callbacks.kl_units import KLUnits
from genmodels.training.callbacks.nan_guard import NaNGuard
from genmodels.training.callbacks.resume import Resume
from genmodels.training.callbacks.run_progress import RunProgress
from genmodels.training.callbacks.samples import Samples
from genmodels.training.callbacks.step_metrics import StepMetrics
from genmodels.training.callbacks.time_limit import TimeLimit
from genmodels.training.callbacks.whole_set_statistics import WholeSetStatistics
from genmodels.training.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from genmodels.training.loggers import build_loggers, close_loggers, log_final
from genmodels.training.modules.adversarial_module import AdversarialModule
from genmodels.training.modules.likelihood_module import LikelihoodModule
from genmodels.training.modules.training_module import StepRules, TrainingModule
from genmodels.training.modules.translation_module import TranslationModule
from genmodels.training.optimizers import AdamNormGrad, GlowAdamax
from genmodels.training.quiet import quieten
from genmodels.training.schedules import constant, cosine, exponential, iwae, linear, linear_warmup, noam

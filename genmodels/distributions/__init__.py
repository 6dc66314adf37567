"""Priors, pixel likelihoods and dequantisation."""

from genmodels.distributions.base import Base, StandardLogistic, StandardNormal
from genmodels.distributions.centred_bernoulli import CentredBernoulli
from genmodels.distributions.dequantization import Dequantization, UniformDequantization, VariationalDequantization
from genmodels.distributions.discretized_logistic import DiscretizedLogistic
from genmodels.distributions.fitting import fitting_likelihood
from genmodels.distributions.flow_prior import FlowPrior
from genmodels.distributions.gaussian import Gaussian
from genmodels.distributions.gaussian_noise import GaussianNoise
from genmodels.distributions.likelihood import Likelihood
from genmodels.distributions.logistic_mixture import LogisticMixture
from genmodels.distributions.mixture_made import MixtureMADE, autoregressive_mixture
from genmodels.distributions.mixture_of_gaussians import MixtureOfGaussians
from genmodels.distributions.pixels import Bernoulli, Categorical, PixelLikelihood

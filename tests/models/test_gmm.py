"""The mixture of normal distributions as a model: against scikit-learn, and that it finds modes."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from genmodels.distributions.modes import MIXTURES
from genmodels.errors import UserError
from genmodels.models import GMM
from genmodels.models.capabilities import CAPABILITIES, offered
from genmodels.models.contract import Density, Sampler
from genmodels.networks.data_init import initialize


def ring(count: int) -> torch.Tensor:
    """Points on the ring of eight Gaussians."""
    modes = MIXTURES["ring"]
    return modes.centres[torch.randint(8, (count,))] + modes.deviation * torch.randn(count, 2, dtype=torch.float64)


def test_it_is_the_mixture_of_scikit_learn() -> None:
    torch.manual_seed(0)
    x = ring(300)
    theirs = GaussianMixture(5, covariance_type="diag", random_state=0, max_iter=3).fit(x.numpy())
    ours = GMM([2], None, num_components=5).double()
    with torch.no_grad():
        ours.mixture.logits.copy_(torch.from_numpy(theirs.weights_).log() + 3.0)
        ours.mixture.means.copy_(torch.from_numpy(theirs.means_))
        ours.mixture.log_scales.copy_(torch.from_numpy(theirs.covariances_).log() / 2)
        points = 3 * torch.randn(50, 2, dtype=torch.float64)
        np.testing.assert_allclose(ours.log_prob(points), theirs.score_samples(points.numpy()), rtol=1e-10)


def test_it_offers_a_density_and_draws() -> None:
    model = GMM([3], None, num_components=4)
    assert {kind for kind in CAPABILITIES if offered(model, kind) is not None} == {Density, Sampler}
    assert (model.exact, model.shape, model.takes) == (True, (3,), {"vectors"})
    assert sum(parameter.numel() for parameter in model.parameters()) == 4 * (2 * 3 + 1)


def test_the_means_start_at_examples_and_the_deviations_from_theirs() -> None:
    torch.manual_seed(1)
    x = torch.randn(500, 2) * torch.tensor([1.0, 10.0]) + 3.0
    model = GMM([2], None, num_components=400)
    assert model.init_batch_size == 400
    initialize(model, lambda: model.log_prob(x))
    assert torch.equal(model.mixture.means, x[:400])
    torch.testing.assert_close(model.mixture.log_scales.exp()[7], x.std(dim=0) / 20)
    few = GMM([2], None, num_components=5)
    initialize(few, lambda: few.log_prob(x[:2]))
    assert torch.equal(few.mixture.means.detach(), x[[0, 1, 0, 1, 0]])


def test_training_comes_to_the_entropy_of_the_ring() -> None:
    torch.manual_seed(0)
    model = GMM([2], None, num_components=32).double()
    initialize(model, lambda: model.log_prob(ring(256)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=400)
    for _ in range(400):
        loss = -model.log_prob(ring(256)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    entropy = np.log(8) + np.log(2 * np.pi * np.e * 0.02**2)
    with torch.no_grad():
        reached = -float(model.log_prob(ring(20_000)).mean())
        drawn = model.sample(2000)
    assert entropy - 0.05 < reached < entropy + 0.1
    distance = torch.cdist(drawn, MIXTURES["ring"].centres)
    assert distance.min(dim=1).values.median() < 0.04
    assert len(distance.argmin(dim=1).unique()) == 8


def test_images_and_no_components_are_told() -> None:
    with pytest.raises(UserError, match=r"model=gmm needs vectors but the data has shape \[1, 8, 8\]"):
        GMM([1, 8, 8], 17)
    with pytest.raises(UserError, match=r"model\.num_components must be at least 1, got 0"):
        GMM([2], None, num_components=0)

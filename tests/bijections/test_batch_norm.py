"""Flow batch norm in training, where it is no bijection sample by sample: against torch's own."""

import torch
from torch import nn

from genmodels.bijections import FlowBatchNorm, checkerboard


def test_equals_torch_without_affine_in_training_and_evaluation() -> None:
    ours = FlowBatchNorm(3).double()
    theirs = nn.BatchNorm2d(3, eps=1e-4, momentum=0.1, affine=False).double()
    for _ in range(3):
        x = 2.0 + 3.0 * torch.randn(4, 3, 2, 2, dtype=torch.float64)
        z, log_det = ours.train()(x)
        torch.testing.assert_close(z, theirs.train()(x))
        expected = -4 * 0.5 * torch.log(x.var(dim=(0, 2, 3), correction=0) + 1e-4).sum()
        torch.testing.assert_close(log_det, expected.expand(4))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    # torch's running variance is the unbiased one; ours, like the official code's, is that of the batch.
    ours.running_var.copy_(theirs.running_var)
    torch.testing.assert_close(ours.eval()(x)[0], theirs.eval()(x))


def test_masked_batch_norm_counts_only_what_it_changes() -> None:
    from genmodels.bijections import FlowBatchNorm

    mask = checkerboard(4, 4)
    x = torch.where(mask > 0, 3.0 + 2.0 * torch.randn(512, 1, 4, 4), torch.full((512, 1, 4, 4), 100.0))
    z, log_det = FlowBatchNorm(1, mask).train()(x)
    changed = z[(mask > 0).expand_as(z)]
    assert abs(changed.mean()) < 1e-5
    assert abs(changed.std() - 1) < 1e-3
    assert (z[(mask == 0).expand_as(z)] == 100.0).all()
    expected = -8 * 0.5 * torch.log(x[(mask > 0).expand_as(x)].var(correction=0) + 1e-4)
    torch.testing.assert_close(log_det, expected.expand(512), atol=1e-4, rtol=1e-4)

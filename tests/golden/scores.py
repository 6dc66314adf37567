"""Pixel likelihoods by their formulas, for the models' golden tests."""

import torch
import torch.nn.functional as F
from torch import Tensor


def categorical(params: Tensor, x: Tensor) -> Tensor:
    """log p of every image: a softmax over the values of each colour, whose logits lie `colours` channels apart."""
    colours = x.shape[1]
    score = torch.zeros(len(x), dtype=params.dtype)
    for colour in range(colours):
        logits = params[:, colour::colours]
        of_x = logits.gather(1, x[:, colour, None])[:, 0]
        score = score + (of_x - logits.exp().sum(dim=1).log()).sum(dim=(1, 2))
    return score


def logistic_mixture(params: Tensor, x: Tensor, levels: int) -> Tensor:
    """log p of every image: `discretized_mix_logistic_loss` of the official code of PixelCNN++, with its branches.

    That has one or three colours here, and 255 for levels - 1. Its approximation where a bin has less than 1e-5 of a
    component's mass is not that of the project, so such bins must not occur.
    """
    colours = x.shape[1]
    m = params.shape[1] // (10 if colours == 3 else 3)
    of_colours = params[:, m:].chunk(colours, dim=1)
    v = x[:, :, None].double() * 2 / (levels - 1) - 1  # with a place for the components
    means = [of_colour[:, :m] for of_colour in of_colours]
    if colours == 3:
        a, b, c = (of_colour[:, 2 * m :].tanh() for of_colour in of_colours)
        means = [means[0], means[1] + a * v[:, 0], means[2] + b * v[:, 0] + c * v[:, 1]]
    log_mass = torch.log_softmax(params[:, :m], dim=1)
    for colour in range(colours):
        log_scale = of_colours[colour][:, m : 2 * m].clamp(min=-7.0)
        centred = v[:, colour] - means[colour]
        above = torch.exp(-log_scale) * (centred + 1 / (levels - 1))
        below = torch.exp(-log_scale) * (centred - 1 / (levels - 1))
        mass = torch.sigmoid(above) - torch.sigmoid(below)
        is_inside = (v[:, colour].abs() < 0.999).expand_as(mass)
        assert (mass[is_inside] > 1e-5).all()
        inside = torch.log(mass.clamp(min=1e-12))
        at_ends = torch.where(v[:, colour] < -0.999, above - F.softplus(above), -F.softplus(below))
        log_mass = log_mass + torch.where(is_inside, inside, at_ends)
    return log_mass.exp().sum(dim=1).log().sum(dim=(1, 2))

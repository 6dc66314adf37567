"""How translations between two domains look, and how much comes back of what is translated there and back."""

import torch
from torch import Tensor

from genmodels.evaluation.metrics.figure import Figure, figure_of
from genmodels.evaluation.metrics.metric import Metric, Trained
from genmodels.models.capabilities import required
from genmodels.models.contract import Translates
from genmodels.models.gans.translations import first_of_each, there_and_back
from genmodels.pictures import is_image, save_grid

_COLUMNS = 10


class Translations(Metric):
    """Mean absolute difference of F(G(x)) and x as a share of the pixels' range, over both domains.

    The picture has three rows for each direction: images, their translations, and these translated back. The figure
    says nothing of how much a translation looks like its domain.
    """

    name = "translations"
    needs = (Translates,)

    @torch.no_grad()
    def measure(self, trained: Trained) -> Figure:
        model = required(trained.model, Translates, "metrics=[translations]")
        levels = trained.model.levels
        assert levels is not None  # of images
        images = first_of_each(model.domains, trained.examples(), _COLUMNS)
        pictures = []
        if is_image(trained.model.shape):
            path = trained.picture(f"translations_{trained.split}")
            save_grid(there_and_back(model, images), levels, path, len(images[0]))
            pictures = [str(path)]
        errors = torch.cat([_errors(model, *batch) for batch in trained.examples()]) / (levels - 1)
        return figure_of(errors, name="cycle_error", unit="", direction="lower", kind="exact", pictures=tuple(pictures))


def _errors(model: Translates, x: Tensor, y: Tensor | None) -> Tensor:
    """In levels, of those of the batch that belong to a domain, [N]."""
    assert y is not None  # the model needs classes
    errors = []
    for here, label in enumerate(model.domains):
        chosen = x[y == label]
        if len(chosen):
            back = model.translate(model.translate(chosen, 1 - here), here)
            errors.append((back.double() - chosen.double()).abs().flatten(1).mean(dim=1))
    return torch.cat(errors) if errors else torch.zeros(0, dtype=torch.double, device=x.device)

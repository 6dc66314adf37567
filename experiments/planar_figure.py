"""Draw the four energies above the flows that were fitted to them, as Figure 3 of Rezende & Mohamed 2015.

python experiments/planar_figure.py <run of u1> <run of u2> <run of u3> <run of u4> figure.png
"""

import sys

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from genmodels.objectives import ReverseKL
from genmodels.runs.finished_run import load_run

SIDE, POINTS = 4.0, 240


@torch.no_grad()
def draw(runs: list[str], path: str) -> None:
    """Each energy's density and the run's own on [-4, 4] x [-4, 4], brightest where the energy's is highest."""
    axis = torch.linspace(-SIDE, SIDE, POINTS)
    points = torch.cartesian_prod(axis, axis)
    figure = Figure(figsize=(2 * len(runs), 4.1), layout="constrained")
    columns = figure.subplots(2, len(runs), squeeze=False).T
    for folder, axes in zip(runs, columns, strict=True):
        run = load_run(folder)
        energy = run.config["data"]["name"]
        target, model = (
            log_p(points).exp().view(POINTS, -1).T for log_p in (ReverseKL(energy).log_density, run.model.log_prob)
        )
        for panel, density in zip(axes, (target, model), strict=True):
            panel.imshow(density, origin="lower", vmin=0, vmax=target.max())
            panel.set(xticks=[], yticks=[])
        axes[0].set_title(energy.upper())
    columns[0][0].set_ylabel("target")
    columns[0][1].set_ylabel("flow")
    FigureCanvasAgg(figure).print_png(path)


if __name__ == "__main__":
    *runs, path = sys.argv[1:]
    draw(runs, path)

"""What an experiment reproduces stands in it as data, and goes from there into the run's record."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from genmodels.config.checks import Published, check, check_arguments
from genmodels.config.compose import CONFIG_DIR, compose
from genmodels.errors import UserError
from genmodels.experiment import train

EXPERIMENTS = sorted((CONFIG_DIR / "experiment").glob("*.yaml"), key=lambda file: file.stem)
WITHOUT_FIGURE = {
    "benchmark_glow_cifar10",
    "gan_stability",
    "gan_stability_momentum",
    "gan_stability_sn",
    "gan_stability_wgan",
    "gan_stability_wgan_gp",
    "ffjord_toy2d",
    *(file.stem for file in EXPERIMENTS if file.stem.startswith("gallery_")),
    "cyclegan_mnist",
    "iaf_moons",
    "iaf_vae_cifar10_tails",
    "maf_moons",
    "maf_two_spirals",
    "pixelcnnpp_cifar10_no_dropout",
    "pixelrnn_diag_binarized_mnist",
    "stylegan2_cifar10",
    "stylegan2_cifar10_conditional",
    *(f"{model}_energy{number}" for model in ("planar", "radial") for number in (1, 2, 3, 4)),
}
FIGURES = {  # by experiment: metric, value, status
    "glow_cifar10": ("bits_per_dim", 3.35, "confirmed"),
    "glow_imagenet32": ("bits_per_dim", 4.09, "confirmed"),
    "glow_imagenet64": ("bits_per_dim", 3.81, "confirmed"),
    "realnvp_cifar10": ("bits_per_dim", 3.49, "confirmed"),
    "realnvp_imagenet32": ("bits_per_dim", 4.28, "confirmed"),
    "realnvp_imagenet64": ("bits_per_dim", 3.98, "second_hand"),
    "realnvp_celeba": ("bits_per_dim", 3.02, "recalled"),
    "flowpp_cifar10": ("bits_per_dim", 3.08, "confirmed"),
    "flowpp_cifar10_uniform": ("bits_per_dim", 3.292, "recalled"),
    "flowpp_imagenet64": ("bits_per_dim", 3.69, "confirmed"),
    "tarflow_imagenet64": ("bits_per_dim", 2.99, "recalled"),
    "iresnet_cifar10": ("bits_per_dim", 3.45, "second_hand"),
    "iresnet_mnist": ("bits_per_dim", 1.05, "second_hand"),
    "residual_flow_cifar10": ("bits_per_dim", 3.280, "second_hand"),
    "residual_flow_mnist": ("bits_per_dim", 0.970, "second_hand"),
    "residual_flow_imagenet32": ("bits_per_dim", 4.010, "recalled"),
    "residual_flow_imagenet64": ("bits_per_dim", 3.757, "recalled"),
    "multiscale_pixelcnn_imagenet32": ("bits_per_dim", 3.95, "confirmed"),
    "pixelcnn_cifar10": ("bits_per_dim", 3.14, "confirmed"),
    "pixelrnn_diag_cifar10": ("bits_per_dim", 3.00, "confirmed"),
    "pixelrnn_row_cifar10": ("bits_per_dim", 3.07, "second_hand"),
    "pixelrnn_diag_binarized_mnist_static": ("nll", 79.20, "second_hand"),
    "gated_pixelcnn_imagenet64": ("bits_per_dim", 3.57, "confirmed"),
    "gated_pixelcnn_binarized_mnist": ("nll", 81.50, "confirmed"),
    "pixelcnnpp_cifar10": ("bits_per_dim", 2.92, "confirmed"),
    "pixelcnnpp_cifar10_conditional": ("bits_per_dim", 2.94, "confirmed"),
    "image_transformer_imagenet32": ("bits_per_dim", 3.77, "confirmed"),
    "pixelsnail_imagenet64": ("bits_per_dim", 3.52, "confirmed"),
    "iaf_vae_cifar10": ("bits_per_dim", 3.11, "confirmed"),
    "iaf_vae_cifar10_12_layers_diagonal": ("bits_per_dim", 3.46, "confirmed"),
    "vae5_binarized_mnist": ("nll", 86.47, "second_hand"),
    "vae_binarized_mnist_static": ("nll", 88.56, "recalled"),
    "vae_vamp_binarized_mnist_static": ("nll", 85.57, "second_hand"),
    "vae_binarized_mnist": ("nll", 84.82, "recalled"),
    "vae_vamp_binarized_mnist": ("nll", 82.38, "recalled"),
    "vae_conv_binarized_mnist_static": ("nll", 82.14, "recalled"),
    "vae_planar_binarized_mnist_static": ("nll", 81.91, "recalled"),
    "vae_iaf_binarized_mnist_static": ("nll", 80.79, "recalled"),
    "iwae50_binarized_mnist": ("nll", 84.78, "second_hand"),
    "iwae50_binarized_mnist_static": ("nll", 87.1, "second_hand"),
    "iwae50_2layer_binarized_mnist": ("nll", 82.90, "second_hand"),
    "vae1_2layer_binarized_mnist": ("nll", 85.33, "second_hand"),
    "hvae_binarized_mnist_static": ("nll", 86.05, "recalled"),
    "hvae_vamp_binarized_mnist_static": ("nll", 83.19, "recalled"),
    "made_image_mnist": ("nll", 86.64, "recalled"),
    "maf5_power": ("nll", -0.14, "second_hand"),
    "maf10_hepmass": ("nll", 17.73, "second_hand"),
    "made_mog_miniboone": ("nll", 12.27, "second_hand"),
    "maf_mog_bsds300": ("nll", -156.36, "second_hand"),
    "maf5_mnist": ("log_likelihood_logit_space", -1300.5, "second_hand"),
    "ffjord_bsds300": ("nll", -157.40, "second_hand"),
    "ffjord_cifar10": ("bits_per_dim", 3.40, "second_hand"),
    "ffjord_gas": ("nll", -8.59, "second_hand"),
    "ffjord_hepmass": ("nll", 14.92, "second_hand"),
    "ffjord_miniboone": ("nll", 10.43, "second_hand"),
    "ffjord_mnist": ("bits_per_dim", 0.99, "second_hand"),
    "ffjord_power": ("nll", -0.46, "second_hand"),
    "rnode_cifar10": ("bits_per_dim", 3.38, "second_hand"),
    "rnode_imagenet64": ("bits_per_dim", 3.83, "second_hand"),
    "rnode_mnist": ("bits_per_dim", 0.97, "second_hand"),
    "maf10_cifar10": ("log_likelihood_logit_space", 3049, "second_hand"),
    "dcgan_cifar10": ("fid", 42.72, "second_hand"),
    "wgan_cifar10": ("fid", 40.03, "second_hand"),
    "wgan_gp_cifar10": ("fid", 40.2, "second_hand"),
    "wgan_gp_resnet_cifar10": ("fid", 29.3, "second_hand"),
    "sngan_cifar10": ("fid", 21.7, "second_hand"),
    "sngan_cifar10_conditional": ("fid", 17.5, "second_hand"),
    "biggan_cifar10": ("fid", 14.73, "second_hand"),
    "stylegan2_ada_cifar10": ("fid", 2.42, "second_hand"),
    "cyclegan_horse2zebra": ("fid", 77.2, "recalled"),
}
WITHOUT_UNIT = {"fid", "inception_score"}
RIGHT = {"metric": "bits_per_dim", "value": 3.35, "source": "Table 2", "status": "confirmed"}


def _stated(published: dict[str, Any] | None) -> dict[str, Any] | None:
    return published and {key: value for key, value in published.items() if value is not None}


def _told(published: Any) -> str:
    with pytest.raises(UserError) as caught:
        check({**compose(), "published": published})
    return str(caught.value)


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_experiment_says_what_it_reproduces(file: Path) -> None:
    """In its own file: what it inherits of another recipe's figure would pass for its own."""
    written = yaml.safe_load(file.read_text())
    assert "published" in written
    published = compose([f"experiment={file.stem}"])["published"]
    assert _stated(published) == _stated(written["published"])
    assert (published is None) == (file.stem in WITHOUT_FIGURE)
    if published is not None:
        check_arguments(Published, published)
        assert math.isfinite(published["value"])
        own_name = published["metric"] not in ("bits_per_dim", "nll")
        has_unit = published["metric"] not in {"bits_per_dim", *WITHOUT_UNIT}
        assert published.get("unit") == ("nats" if has_unit else None)
        assert not own_name or published["protocol"]


def test_what_experiments_share_reproduces_nothing() -> None:
    shared = sorted((CONFIG_DIR / "experiment" / "base").glob("*.yaml"))
    assert shared
    assert not [file.stem for file in shared if "published" in yaml.safe_load(file.read_text())]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_those_of_the_papers(name: str) -> None:
    published = compose([f"experiment={name}"])["published"]
    assert (published["metric"], published["value"], published["status"]) == FIGURES[name]


@pytest.mark.parametrize(
    ("name", "two_errors"), [("maf5_power", 0.01), ("made_miniboone", 0.50), ("maf10_cifar10", 26), ("made_mnist", 4.8)]
)
def test_standard_errors_are_half_of_what_the_tables_of_maf_print(name: str, two_errors: float) -> None:
    assert compose([f"experiment={name}"])["published"]["standard_error"] == pytest.approx(two_errors / 2)


def test_the_figure_of_nice_is_its_log_likelihood_in_bits() -> None:
    value = compose(["experiment=nice_mnist"])["published"]["value"]
    assert value == pytest.approx(8 - 1980.50 / (784 * math.log(2)), abs=5e-4)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("iwae5_binarized_mnist", 59_600),
        ("iwae50_2layer_binarized_mnist", 59_600),
        ("iwae50_binarized_mnist_static", 50_000),
    ],
)
def test_the_runs_of_iwae_are_of_3280_epochs(name: str, images: int) -> None:
    config = compose([f"experiment={name}"])
    assert config["scheduler"]["epoch_steps"] * config["data"]["batch_size"] == images
    assert config["trainer"]["max_steps"] == 3280 * config["scheduler"]["epoch_steps"]
    assert config["optimizer"]["eps"] == pytest.approx(1e-4 / (20 * 784 * math.log(2)), rel=0.001)


@pytest.mark.parametrize("name", ["vae_conv_binarized_mnist_static", "hvae_binarized_mnist_static"])
def test_the_kl_has_its_weight_after_100_epochs(name: str) -> None:
    config = compose([f"experiment={name}"])
    assert config["objective"]["warmup_steps"] * config["data"]["batch_size"] == 100 * 50_000


def test_a_run_keeps_the_figure_and_how_it_departs_from_the_recipe(tmp_path: Path) -> None:
    overrides = ["experiment=maf5_power", "data=toy2d", "model.width=4", "model.num_layers=1"]
    tiny = ["trainer=cpu", "trainer.max_steps=2", "logger=csv", "callbacks.samples=null", "callbacks.curves=null"]
    train(compose([*overrides, *tiny]), tmp_path, overrides)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["published"] == {
        "metric": "nll",
        "value": -0.14,
        "standard_error": 0.005,
        "unit": "nats",
        "source": "Papamakarios et al. 2017, Table 1, sign turned; +- there is two standard errors",
        "status": "second_hand",
    }
    assert record["overrides"] == overrides


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"status": "sure"},
            "published.status must be one of confirmed, second_hand, recalled, got 'sure'",
        ),
        ({"value": "3,35"}, "published.value must be a number, got '3,35'"),
        ({"souce": "Table 2"}, "unknown key published.souce: did you mean published.source?"),
        ({"unit": "bits"}, "published.unit must be one of bits/dim, nats or null, got 'bits'"),
    ],
)
def test_a_mistake_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    assert _told({**RIGHT, **change}) == sentence


def test_a_figure_needs_its_source() -> None:
    assert _told({key: value for key, value in RIGHT.items() if key != "source"}) == (
        "published.source is missing: Published needs it"
    )


def test_a_bare_number_is_no_figure() -> None:
    assert _told(3.35) == (
        "published must be a mapping of metric, value, source, status, standard_error, unit, protocol, parts or null, "
        "got 3.35"
    )


def test_an_experiment_of_the_users_own_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "experiment" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("# @package _global_\n" + yaml.safe_dump({"published": {**RIGHT, "status": "done"}}))
    with pytest.raises(UserError, match=r"^published\.status must be one of .*, got 'done'$"):
        check(compose([f"hydra.searchpath=[file://{tmp_path}]", "experiment=mine"]))


def test_configs_of_older_runs_lack_the_key() -> None:
    config = compose()
    del config["published"]
    check(config)


def test_stylegan2s_numbers_are_those_of_the_ada_code() -> None:
    """Lazy regularisation's share of the steps, and a half-life in images."""
    config = compose(["experiment=stylegan2_cifar10"])
    for node, c in ((config["optimizer"], 4 / 5), (config["optimizers"]["discriminator"], 16 / 17)):
        assert node["lr"] == pytest.approx(0.0025 * c, rel=1e-5)
        assert node["betas"] == pytest.approx([0, 0.99**c], abs=1e-6)
    batch = config["data"]["batch_size"]
    assert config["callbacks"]["ema"]["decay"] == pytest.approx(0.5 ** (batch / 500_000), abs=1e-8)
    assert config["trainer"]["max_steps"] * batch == 100_000_000
    assert (config["objective"]["penalty"]["gamma"], config["objective"]["penalty"]["every"]) == (0.01, 16)
    assert config["objective"]["generator_penalty"] is None

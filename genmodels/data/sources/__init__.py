"""The data sets by name."""

from genmodels import plugins
from genmodels.data.source import Options, Source
from genmodels.data.sources.celeba import CelebA
from genmodels.data.sources.cifar10 import CIFAR10, SVHN
from genmodels.data.sources.digits import Digits
from genmodels.data.sources.energy2d import Energy2D
from genmodels.data.sources.image_folder import ImageFolder
from genmodels.data.sources.imagenet import ImageNet32, ImageNet64
from genmodels.data.sources.mnist import MNIST, FashionMNIST, StaticallyBinarizedMNIST
from genmodels.data.sources.tabular import BSDS300, Gas, Hepmass, Miniboone, Power
from genmodels.data.sources.toy2d import DENSITIES, Toy2D
from genmodels.distributions.energies import ENERGIES
from genmodels.errors import UserError

SOURCES: dict[str, type[Source]] = {
    "digits": Digits,
    "mnist": MNIST,
    "fashion_mnist": FashionMNIST,
    "binarized_mnist": MNIST,
    "binarized_mnist_static": StaticallyBinarizedMNIST,
    "cifar10": CIFAR10,
    "svhn": SVHN,
    "celeba": CelebA,
    "imagenet32_old": ImageNet32,
    "imagenet32_box": ImageNet32,
    "imagenet64_old": ImageNet64,
    "imagenet64_box": ImageNet64,
    "image_folder": ImageFolder,
    **dict.fromkeys(DENSITIES, Toy2D),
    **dict.fromkeys(ENERGIES, Energy2D),
    "power": Power,
    "gas": Gas,
    "hepmass": Hepmass,
    "miniboone": Miniboone,
    "bsds300": BSDS300,
}


def source_for(options: Options) -> Source:
    """The data set called `options.name`: one of ours, or "my_package.Rings", a `Source` of a user's own package.

    Raises:
        UserError: there is none, its package may not be imported, or an option does not apply to it.
    """
    if options.name not in SOURCES and "." not in options.name:
        raise UserError(f"data.name={options.name} is not known: use one of {', '.join(SOURCES)}.")
    source = SOURCES.get(options.name) or plugins.resolve(options.name, Source, "data.name")
    for key in ("size", "channels", "variant", "skip_bad"):
        if getattr(options, key) not in (None, False) and key not in source.accepts:
            raise UserError(f"data.{key} cannot be chosen for {options.name}: leave it out.")
    return source(options)

"""What every model is, whatever else its family offers."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genmodels.errors import UserError
from genmodels.models.data_checks import check_batch, check_draw, check_latents

Kind = Literal["images", "vectors"]


_TAKE_DATA = {"log_prob", "terms", "encode", "posterior_features", "inverse_error", "at_start"}
"""Methods whose first argument is data and whose second, if any, its labels."""


_DRAW = {"sample", "sample_with_log_prob", "latents"}
"""Methods whose arguments are the number of draws and, if any more, their labels and the temperature."""

_DECODE = {"decode", "decode_mean", "generate"}
"""Methods whose arguments are latents and their labels."""


def _checking(method: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(method)
    def checked(self: "Model", *given: Any, **named: Any) -> Any:
        check(self, *given, **named)
        return method(self, *given, **named)

    return checked


class Model(nn.Module):
    """What every model is: a module that knows the data it is made for.

    Images are integers, uint8 [B, C, H, W] of values 0 .. levels - 1; vectors float32 [B, D]. Labels y are int64 [B].

    Attributes:
        takes: the kinds of data that the class can be made for.
        shape: of one x, (C, H, W) or (D,).
        levels: values of a pixel; None for vectors.
        num_classes: classes that it conditions on; 0 for none.
        latent_shape: of one z that it decodes; None where it decodes none, or does not say.
        init_batch_size: examples for data-dependent initialisation; Glow's official code takes 256.
        not_compiled: why `compile=true` is refused; "" where it is not.
        chosen: sizes that the model took from the data because none was set, by the names of their settings.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset(("images", "vectors"))
    shape: tuple[int, ...]
    levels: int | None
    num_classes: int = 0
    latent_shape: tuple[int, ...] | None = None
    init_batch_size: int = 256
    not_compiled: ClassVar[str] = ""
    chosen: Mapping[str, Any] = MappingProxyType({})

    def __init_subclass__(cls, **options: Any) -> None:
        """Give what takes data, draws or decodes in a class, a user's too, one check: see `data_checks`."""
        super().__init_subclass__(**options)
        for methods, check in ((_TAKE_DATA, check_batch), (_DRAW, check_draw), (_DECODE, check_latents)):
            for name in methods & vars(cls).keys():
                if inspect.isfunction(vars(cls)[name]):
                    setattr(cls, name, _checking(vars(cls)[name], check))

    @property
    def protocol(self) -> Mapping[str, Any]:
        """What every figure of it has to say, by name, such as that its likelihood is not that of a distribution."""
        return {}

    @property
    def estimates_log_prob(self) -> bool:
        """Whether `log_prob` holds noise, in the mode that the model is in, that is unbiased in log p and not in p.

        Stochastic log-determinants are that. Their mean is right; the log of a mean of exponentials counts the noise as
        likelihood, so that K samples of an example are averaged instead.
        """
        return False

    def diagnostics(self) -> Mapping[str, Tensor]:
        """Scalars by name about what it has done since it was last asked, logged beside the objective's metrics."""
        return {}

    @property
    def _dtype(self) -> torch.dtype:
        """The parameters' type; of a model without any, its buffers' or torch's default."""
        tensors = itertools.chain(self.parameters(), self.buffers())
        return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())

    def _one_hot(self, y: Tensor | None) -> Tensor | None:
        """The labels as [B, num_classes], None for a model without classes.

        Raises:
            UserError: there are classes and no labels.
        """
        if not self.num_classes:
            return None
        if y is None:
            raise UserError("This model is class-conditional and the data has no labels; set model.conditional=false.")
        return F.one_hot(y, self.num_classes).to(self._dtype)

    def averaged_modules(self) -> Sequence[nn.Module]:
        """The parts whose weights an exponential moving average keeps: what is wanted in the end."""
        return [self]

    def decayed_parameters(self) -> Iterable[nn.Parameter]:
        """What the optimiser's weight decay applies to."""
        return self.parameters()

"""What PixelCNN and PixelRNN share: a first layer that sees earlier pixels alone, and layers that may see their own."""

from abc import ABC, abstractmethod

from torch import Tensor

from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder
from genmodels.networks.causal_conv import Cache, MaskedConv2d
from genmodels.networks.layout import fast_layout


class MaskedStack(AutoregressiveModel, ABC):
    """A convolution with mask A, then what `after_first` makes of it (van den Oord et al. 2016, Table 1)."""

    first: MaskedConv2d
    cache: type[Cache] = Cache

    @abstractmethod
    def after_first(self, h: Tensor, cache: Cache | None = None) -> Tensor:
        """The likelihood's parameters: [B, channels, H, W] -> [B, P, H, W]; with a cache, a pixel to a pixel."""

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.after_first(self.first(fast_layout(self._scaled(x))))

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        cache = self.cache(width=self.shape[2])

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            cache.row, cache.column = row, column
            return self.after_first(self.first.look(self._scaled(x), row, column), cache).squeeze(3)

        return decode

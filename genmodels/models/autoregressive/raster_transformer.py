"""Images as sequences of tokens in raster order: what the transformers of this project share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from genmodels.distributions import PixelLikelihood
from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Decoder
from genmodels.networks.sequence_attention import KeyValueCache


class RasterTransformer(AutoregressiveModel, ABC):
    """A network with causal attention that gets token t - 1 at place t, and the start at place 0.

    So it may look at its own place, and predicts token t there. A token is one colour of one pixel, pixel by pixel and
    in a pixel colour by colour; or a whole pixel, where the likelihood joins its colours.

    Args:
        shape: (C, H, W).
        likelihood: of a pixel given the network's outputs for its tokens.
        num_classes: as in `AutoregressiveModel`.
    Attributes:
        tokens_per_pixel: K, C or 1.
        num_tokens: T, K for each pixel.
        outputs_per_token: parameters of the likelihood that a token's place gives.
    """

    def __init__(self, shape: Sequence[int], likelihood: PixelLikelihood, num_classes: int = 0) -> None:
        super().__init__(shape, likelihood, num_classes)
        self.tokens_per_pixel = 1 if likelihood.conditions_colours else likelihood.channels
        self.num_tokens = self.tokens_per_pixel * self.shape[1] * self.shape[2]
        self.outputs_per_token = likelihood.num_params // self.tokens_per_pixel

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """What the network is told of each token's value: [B, C, h, w] -> [B, h * w * K, width]."""

    @abstractmethod
    def start(self, batch: int, y: Tensor | None) -> Tensor:
        """What stands for the token before the first: [B, width]."""

    @abstractmethod
    def positions(self) -> Tensor:
        """What is added at each place to tell it from the others: [T, width]."""

    @abstractmethod
    def outputs(self, h: Tensor, y: Tensor | None, cache: KeyValueCache | None = None) -> Tensor:
        """The network: [B, T, width] -> [B, T, outputs_per_token]; with a cache without T, for one token."""

    def conditionals(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.conditionals_of_tokens(self.embed(x), y)

    def conditionals_of_tokens(self, tokens: Tensor, y: Tensor | None = None) -> Tensor:
        """`conditionals` of embedded tokens, [B, T, width] -> [B, P, H, W]."""
        before = torch.cat((self.start(len(tokens), y)[:, None], tokens[:, :-1]), dim=1)
        outputs = self.outputs(before + self.positions(), y)
        # A pixel's parameters are numbered so that the token varies fastest, as `Categorical` wants them.
        by_pixel = outputs.unflatten(1, (*self.shape[1:], self.tokens_per_pixel))
        return by_pixel.permute(0, 4, 3, 1, 2).flatten(1, 2)

    def decoder(self, batch: int, y: Tensor | None = None) -> Decoder:
        cache = KeyValueCache(self.num_tokens)
        start, positions = self.start(batch, y), self.positions()
        params = start.new_zeros(batch, self.outputs_per_token, self.tokens_per_pixel)
        drawn = 0

        def decode(x: Tensor, row: int, column: int) -> Tensor:
            # Called once for every token; what the likelihood draws of a pixel's other tokens is not used.
            nonlocal drawn
            pixel = row * self.shape[2] + column
            token = cache.token = min(drawn, (pixel + 1) * self.tokens_per_pixel - 1)
            before = self._token(x, token - 1) if token else start
            params[:, :, token % self.tokens_per_pixel] = self.outputs(before + positions[token], y, cache)
            drawn = token + 1
            return params.flatten(1)[:, :, None].clone()

        return decode

    def _token(self, x: Tensor, token: int) -> Tensor:
        """One token embedded: [B, C, H, W] -> [B, width]."""
        pixel, colour = divmod(token, self.tokens_per_pixel)
        row, column = divmod(pixel, self.shape[2])
        return self.embed(x[:, :, row : row + 1, column : column + 1])[:, colour]

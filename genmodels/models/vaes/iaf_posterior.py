"""IAF as a posterior: Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., NIPS 2016)."""

from genmodels.bijections import Autoregressive, Compose, Gated, Inverse
from genmodels.models.flows.made_stack import alternating_order
from genmodels.models.vaes.flow_posterior import FlowPosterior
from genmodels.networks.made_net import MADENet
from genmodels.ranges import at_least


class IAFPosterior(FlowPosterior):
    """MADEs that change a diagonal normal draw step by step, each seeing the encoder's context (Algorithm 1).

        z_t = sigma_t z_{t-1} + (1 - sigma_t) m_t,   (m_t, s_t) = MADE_t(z_{t-1}, h(x)),   sigma_t = sigmoid(s_t + 1)

    The order of the latents is reversed from step to step, the units are ELUs (Appendix B), the context is added to the
    first hidden layer and to the outputs. Draws with their density take one pass of each MADE; the density of given z
    takes Z steps of about the cost of one pass together, see `Autoregressive`.

    Args:
        num_latents: Z.
        num_steps: T.
        width: units of each hidden layer of the MADEs; the paper's largest on MNIST: 8 steps of width 1920.
        num_hidden: hidden layers of each.
        context_features: numbers h(x).
    """

    def __init__(
        self, num_latents: int, num_steps: int = 4, width: int = 320, num_hidden: int = 2, context_features: int = 320
    ) -> None:
        at_least(1, under="model.posterior.", num_latents=num_latents, num_steps=num_steps)
        at_least(1, under="model.posterior.", width=width, num_hidden=num_hidden, context_features=context_features)
        orders = [alternating_order(num_latents, step) for step in range(num_steps)]
        hidden = [width] * num_hidden
        nets = [
            MADENet(num_latents, 2, hidden, order, activation="elu", context_features=context_features)
            for order in orders
        ]
        steps = Compose(Autoregressive(net, Gated()) for net in nets)
        super().__init__(num_latents, Inverse(steps), context_features)

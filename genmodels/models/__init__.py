"""One file per paper: networks, bijections and distributions assembled into something with `log_prob` or `sample`."""

from genmodels.models.flow import Flow
from genmodels.models.flowpp import FlowPP
from genmodels.models.flowpp_dequantization import FlowPPDequantization
from genmodels.models.glow import Glow
from genmodels.models.nice import NICE
from genmodels.models.realnvp import RealNVP

__all__ = ["NICE", "Flow", "FlowPP", "FlowPPDequantization", "Glow", "RealNVP"]

"""One file per paper: networks, bijections and distributions assembled into something with `log_prob` or `sample`."""

from genmodels.models.ancestral import AutoregressiveModel
from genmodels.models.flow import Flow
from genmodels.models.flowpp import FlowPP
from genmodels.models.flowpp_dequantization import FlowPPDequantization
from genmodels.models.gated_pixelcnn import GatedPixelCNN
from genmodels.models.glow import Glow
from genmodels.models.gpt import GPT
from genmodels.models.iaf import IAF
from genmodels.models.image_transformer import ImageTransformer
from genmodels.models.made import MADE
from genmodels.models.made_image import ImageMADE
from genmodels.models.maf import MAF
from genmodels.models.maf_mog import MAFMoG
from genmodels.models.multiscale_pixelcnn import MultiscalePixelCNN
from genmodels.models.nice import NICE
from genmodels.models.pixelcnn import PixelCNN
from genmodels.models.pixelcnnpp import PixelCNNPP
from genmodels.models.pixelrnn import PixelRNN
from genmodels.models.pixelsnail import PixelSNAIL
from genmodels.models.planar import PlanarFlow
from genmodels.models.radial import RadialFlow
from genmodels.models.realnvp import RealNVP

__all__ = [
    "GPT",
    "IAF",
    "MADE",
    "MAF",
    "NICE",
    "AutoregressiveModel",
    "Flow",
    "FlowPP",
    "FlowPPDequantization",
    "GatedPixelCNN",
    "Glow",
    "ImageMADE",
    "ImageTransformer",
    "MAFMoG",
    "MultiscalePixelCNN",
    "PixelCNN",
    "PixelCNNPP",
    "PixelRNN",
    "PixelSNAIL",
    "PlanarFlow",
    "RadialFlow",
    "RealNVP",
]

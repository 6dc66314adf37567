"""One file per paper: networks, bijections and distributions assembled into something with `log_prob` or `sample`."""

from genmodels.models.autoregressive.autoregressive_model import AutoregressiveModel, Method
from genmodels.models.autoregressive.gated_pixelcnn import GatedPixelCNN
from genmodels.models.autoregressive.gpt import GPT
from genmodels.models.autoregressive.image_transformer import ImageTransformer
from genmodels.models.autoregressive.made_image import ImageMADE
from genmodels.models.autoregressive.multiscale_pixelcnn import MultiscalePixelCNN
from genmodels.models.autoregressive.pixelcnn import PixelCNN
from genmodels.models.autoregressive.pixelcnnpp import PixelCNNPP
from genmodels.models.autoregressive.pixelrnn import PixelRNN
from genmodels.models.autoregressive.pixelsnail import PixelSNAIL
from genmodels.models.contract import Batch
from genmodels.models.flows.cnf import CNF
from genmodels.models.flows.ffjord import FFJORD
from genmodels.models.flows.flow import Flow
from genmodels.models.flows.flowpp import FlowPP
from genmodels.models.flows.flowpp_dequantization import FlowPPDequantization
from genmodels.models.flows.glow import Glow
from genmodels.models.flows.iaf import IAF
from genmodels.models.flows.iresnet import IResNet
from genmodels.models.flows.irevnet import IRevNet
from genmodels.models.flows.made import MADE
from genmodels.models.flows.maf import MAF, MAFMoG
from genmodels.models.flows.nice import NICE
from genmodels.models.flows.planar_radial import PlanarFlow, RadialFlow
from genmodels.models.flows.realnvp import RealNVP
from genmodels.models.flows.residual_flow import ResidualFlow
from genmodels.models.flows.tarflow import TARFlow
from genmodels.models.gans.adversarial_model import AdversarialModel
from genmodels.models.gans.biggan import BigGAN
from genmodels.models.gans.cyclegan import CycleGAN
from genmodels.models.gans.dcgan import DCGAN
from genmodels.models.gans.gan import GAN
from genmodels.models.gans.sngan import SNGAN
from genmodels.models.gans.stylegan2 import StyleGAN2
from genmodels.models.gans.wgan import WGAN
from genmodels.models.gans.wgan_gp_resnet import WGANGPResNet
from genmodels.models.gmm import GMM
from genmodels.models.model import Model
from genmodels.models.terms import Gradient, Terms
from genmodels.models.vaes.amortized_posterior import PlanarPosterior, RadialPosterior
from genmodels.models.vaes.conv_networks import ConvNetworks
from genmodels.models.vaes.flow_posterior import FlowPosterior
from genmodels.models.vaes.full_covariance import FullCovariance
from genmodels.models.vaes.gated_mlp_networks import GatedMLPNetworks
from genmodels.models.vaes.hvae import HVAE
from genmodels.models.vaes.iaf_posterior import IAFPosterior
from genmodels.models.vaes.iaf_vae import IAFVAE
from genmodels.models.vaes.networks import MLPNetworks, Networks
from genmodels.models.vaes.posterior import Diagonal, Posterior
from genmodels.models.vaes.resnet_networks import ResNetNetworks
from genmodels.models.vaes.two_layer_vae import TwoLayerVAE
from genmodels.models.vaes.vae import VAE
from genmodels.models.vaes.vamp_prior import VampPrior

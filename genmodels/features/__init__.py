"""Fixed networks that turn images into vectors, and the distance between sets of such vectors."""

from genmodels.features.cache import features_of_data
from genmodels.features.choice import chosen_features
from genmodels.features.extraction import extracted
from genmodels.features.extractor import FeatureExtractor
from genmodels.features.frechet import FrechetMeter, Moments, frechet_distance, real_against_real
from genmodels.features.inception import InceptionFeatures
from genmodels.features.small import SmallFeatures
from genmodels.features.vectors import Vectors

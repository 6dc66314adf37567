"""Files in, integer tensors out."""

from genmodels.data.examples import Examples
from genmodels.data.loader import BatchLoader, EpochSampler
from genmodels.data.module import DataModule
from genmodels.data.source import Options, Source

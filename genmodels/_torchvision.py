"""Let torchvision be imported beside a CPU build of torch.

torchvision wheels are built against CUDA torch. Beside a CPU-only torch their C++ extension cannot load, and
`import torchvision` (also inside `import pytorch_lightning`, through torchmetrics) stops with "operator
torchvision::nms does not exist", although data sets, transforms and models need no operator of it. Declaring the two
schemas that torchvision's Python side registers fake kernels for is enough. Where the extension does load nothing may
be declared: a second definition of an operator aborts the process.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a Library's declarations live as long as the object


def declare_missing_operators() -> None:
    """Declare `torchvision::nms` and `torchvision::qnms` unless torchvision's own extension provides them."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _extension_loads(Path(spec.origin).parent):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _declared.append(library)
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)


def _extension_loads(folder: Path) -> bool:
    for extension in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(extension))
        except OSError:
            continue
        return True
    return False

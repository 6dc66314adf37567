"""Let torchvision be imported beside a CPU build of torch.

torchvision wheels are built against CUDA torch. Beside a CPU-only torch their C++ extension cannot load, and
`import torchvision` (also inside `import pytorch_lightning`, through torchmetrics) stops with "operator
torchvision::nms does not exist", although data sets, transforms and models need no operator of it. Declaring the two
schemas that torchvision's Python side registers fake kernels for is enough. Where the extension does load nothing may
be declared: a second definition of an operator aborts the process.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # a Library's declarations live as long as the object


class DeclareOperatorsFirst(MetaPathFinder):
    """Declares the operators when torchvision is about to run, so that nobody loads torch for it in vain."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((found for f in others if (found := f.find_spec(fullname, path, target)) is not None), None)
        if spec is None or spec.loader is None or spec.origin is None:
            return spec
        folder, run = Path(spec.origin).parent, spec.loader.exec_module

        def declare_and_run(module: ModuleType) -> None:
            declare_missing_operators(folder)
            run(module)

        spec.loader.exec_module = declare_and_run  # type: ignore[method-assign]
        return spec


def declare_missing_operators(folder: Path) -> None:
    """Declare `torchvision::nms` and `torchvision::qnms` unless the extension in torchvision's `folder` has them."""
    import torch

    if _extension_loads(folder):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    _declared.append(library)
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SCHEMA)


def _extension_loads(folder: Path) -> bool:
    import torch

    for extension in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(extension))
        except OSError:
            continue
        return True
    return False

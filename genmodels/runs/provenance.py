"""What one needs to know to run something again: code, packages, machine, command."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "wandb",
    "numpy",
    "scikit-learn",
    "matplotlib",
    "pillow",
)


def provenance() -> dict[str, Any]:
    """Git state of the code, package versions, hardware and command of this process, ready for JSON."""
    return {"git": _git(), "versions": _versions(), "hardware": _hardware(), "command": shlex.join(sys.argv)}


def _git() -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; None unless this very code is under version control."""
    package = Path(__file__).resolve().parents[1]
    if _run_git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # an installed copy, perhaps below somebody else's repository
    return {
        "commit": _run_git(package, "rev-parse", "HEAD"),
        "dirty": bool(_run_git(package, "status", "--porcelain", "--untracked-files=no")),
    }


def _run_git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _hardware() -> dict[str, Any]:
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())

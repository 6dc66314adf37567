"""What one needs to know to run something again: code, packages, machine, command."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genmodels.files import write_text

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


# Where an untracked file may change a run.
_SOURCES = (
    "genmodels",
    "conf",
    "experiments",
    ":(glob)*.py",
    "pyproject.toml",
)
_SOURCE_KINDS = (".py", ".yaml", ".yml", ".toml", ".sh")
_DIFF = ("diff", "--no-color", "--no-ext-diff")
_LARGEST_DIFF = 1_000_000  # characters


def provenance(folder: Path) -> dict[str, Any]:
    """Git state of the code, package versions, hardware and command of this process, ready for JSON.

    Args:
        folder: of the run, where the difference between the code and its commit is kept, if there is one.
    """
    return {"git": _git(folder), "versions": _versions(), "hardware": _hardware(), "command": shlex.join(sys.argv)}


def provenance_in_words(record: Mapping[str, Any]) -> list[str]:
    """Lines about command, code, packages, machine and time from a run.json, which may be a stranger's.

    The command is that of a run of one part, with what was typed.
    """
    git, hardware, versions = (_mapping(record.get(key)) for key in ("git", "hardware", "versions"))
    commit = f"commit {git['commit']}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else "unknown"
    gpus = hardware.get("gpus")
    machine = ", ".join(map(str, gpus)) if isinstance(gpus, list) else ""
    lines = [
        f"command: `{shlex.join(['train.py', *map(str, record.get('overrides') or [])])}`",
        f"code: {commit}",
        f"packages: {', '.join(f'{name} {version}' for name, version in versions.items())}",
        f"machine: {machine or hardware.get('cpu', 'unknown')}",
    ]
    seconds = record.get("wall_time_seconds")
    return lines + ([f"time: {seconds:,.0f} seconds of training"] if isinstance(seconds, int | float) else [])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit, whether the code differs from it, and the file in `folder` that says how.

    Untracked source files are differences too; data and runs are not. None unless this very code is under version
    control.
    """
    package = Path(__file__).resolve().parents[1]
    if _run_git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None  # an installed copy, perhaps below somebody else's repository
    commit = _run_git(package, "rev-parse", "HEAD")
    diff = _uncommitted(package.parent)
    if not diff:
        return {"commit": commit, "dirty": False}
    path = _unused(folder / "uncommitted.diff")
    if len(diff) > _LARGEST_DIFF:
        diff = f"{diff[:_LARGEST_DIFF]}\n(cut: {len(diff):,} characters in all)\n"
    write_text(path, diff)
    return {"commit": commit, "dirty": True, "diff": path.name}


def _uncommitted(project: Path) -> str:
    """What `git diff` says of tracked files, then every untracked source file as an added one."""
    parts = [_run_git(project, *_DIFF, "HEAD") or ""]
    untracked = _run_git(project, "ls-files", "--others", "--exclude-standard", "-z", "--", *_SOURCES) or ""
    for name in filter(None, untracked.split("\0")):
        if name.endswith(_SOURCE_KINDS):
            parts.append(_run_git(project, *_DIFF, "--no-index", "--", os.devnull, name, differs=True) or name)
    return "".join(f"{part}\n" for part in parts if part)


def _unused(path: Path) -> Path:
    """The path, or one with a number, if an earlier part of the run has left a file there."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}_{number}")
    return free


def _run_git(folder: Path, *arguments: str, differs: bool = False) -> str | None:
    """What git prints, None if it fails; `differs`: code 1 is no failure."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, errors="replace", timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip("\n") if done.returncode in ((0, 1) if differs else (0,)) else None


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

"""What a run's record says of its beginning and its end, and what the screen says then."""

import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from genmodels import slurm
from genmodels.commands import assigned, command, typeable
from genmodels.errors import Interrupted, Pruned, UserError, printable
from genmodels.files import write_text
from genmodels.models.model import Model
from genmodels.runs.folder import RunFolder
from genmodels.runs.provenance import provenance
from genmodels.runs.signals import ending_in_order
from genmodels.training.wandb_logger import sync_hint


def beginning(
    folder: RunFolder, config: dict[str, Any], overrides: Sequence[str], wandb_id: str, model: Model
) -> dict[str, Any]:
    """Entries of run.json when a run starts or goes on; what earlier parts ran with is kept under `earlier`."""
    before = folder.read_record()
    now = {"started": _now(), "overrides": list(overrides), **provenance(folder.path)}
    earlier = [*(before.get("earlier") or []), {key: before[key] for key in now if key in before}] if before else []
    return {
        "name": config["name"],
        "status": "running",
        "seed": config["seed"],
        "published": config.get("published"),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "wandb_id": wandb_id,
        "slurm": slurm.step(),
        "pid": os.getpid(),
        **now,
        "ended": None,
        "earlier": earlier,
    }


@contextlib.contextmanager
def recorded_end(folder: RunFolder) -> Iterator[None]:
    """Note in run.json how the body ended, and a bug's traceback beside it, where the disk still takes them."""
    folder.traceback.unlink(missing_ok=True)
    status, failure = "failed", None
    try:
        with ending_in_order():
            yield
        status = "finished"
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    except Pruned:
        status = "pruned"
        raise
    except Exception as error:
        failure = error
        raise
    finally:
        with contextlib.suppress(OSError, UserError):
            folder.update_record(status=status, ended=_now(), error=None if failure is None else _one_line(failure))
            if failure is not None and not isinstance(failure, UserError):
                write_text(folder.traceback, "".join(traceback.format_exception(failure)))


def say_what_next(folder: RunFolder) -> None:
    """Say where everything is and what to type next."""
    pictures = sorted(folder.samples.glob("*.png"), key=lambda picture: picture.stat().st_mtime)
    for title, path in (
        ("samples", pictures[-1] if pictures else None),
        ("curves", folder.curves),
        ("run", folder.path),
    ):
        if path is not None and path.exists():
            print(f"{title:<9} {printable(typeable(path))}")
    plugins = [
        shlex.quote(word) for word in sys.argv[1:] if word.startswith("plugins=")
    ]  # which no run says for itself
    arguments = " ".join([assigned("run", typeable(folder.path)), *plugins])
    print(f"next      {command('evaluate')} {arguments}")
    print(f"          {command('sample')} {arguments}")
    if hint := sync_hint(folder.path):
        print(f"          {printable(hint)}")


def _one_line(error: Exception) -> str:
    sentence = " ".join(str(error).split())
    return sentence if isinstance(error, UserError) else f"{type(error).__name__}: {sentence}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")

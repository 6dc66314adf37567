"""The process in which wandb runs: `python wandb_process.py`, driven by lines of JSON from `WandbRun`.

It imports nothing of this package, so that wandb starts in a small interpreter. The first line holds what `_begin`
takes, every further one a row, a picture or figures for the summary; `{"end": true}` ends the run well, and an end of
the input without it, which is what a killed training leaves, as failed. It answers with one line: {} or {"error": ...}.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

STEP = "trainer/global_step"


def main() -> None:
    for name in {"SIGTERM", "SIGUSR1"} & set(dir(signal)):  # SLURM sends them to all processes of a job
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what wandb and its own processes print is no answer
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()  # training never waits for a slow connection
    try:
        run = _begin(**json.loads(lines.get()))
    except Exception as error:
        _answer(answers, {"error": " ".join(str(error).split())})
        return
    _answer(answers, {})
    while line := lines.get():
        message = json.loads(line)
        if "end" in message:
            run.finish()
            return
        _log(run, **message)
    run.finish(exit_code=1)


def _answer(pipe: int, answer: dict[str, str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # a killed training listens no more, but its rows are to be kept
        os.write(pipe, f"{json.dumps(answer)}\n".encode())


def _read(lines: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def _begin(mode: str | None, pid: int, argv: list[str], best: dict[str, str], **arguments: Any) -> Any:
    """Start the run.

    Args:
        mode: None: online where there is a key and a connection, else offline.
        pid: of the training, whose use of the machine is monitored.
        argv: command line of the training.
        best: by metric, whether the summary keeps its "min" or "max"; of others it keeps the last value.
        arguments: of `wandb.init`.
    """
    sys.argv = argv
    import wandb

    def init(mode: Any, **settings: Any) -> Any:
        quiet = wandb.Settings(silent=True, console="off", disable_job_creation=True, x_stats_pid=pid, **settings)
        return wandb.init(mode=mode, resume="allow", settings=quiet, **arguments)

    if mode is None and _has_key():
        try:
            run = init("online", init_timeout=30.0)
        except wandb.errors.Error:
            wandb.teardown()
            run = init("offline")
    else:
        run = init(mode or "offline")
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    for name, which in best.items():
        run.define_metric(name, step_metric=STEP, step_sync=True, summary=which)
    return run


def _has_key() -> bool:
    """Whether wandb knows a key: from the environment, its settings or a netrc file."""
    import wandb

    try:
        return bool(wandb.login(prompt=False))
    except TypeError:  # wandb before `prompt`
        return bool(wandb.api.api_key)
    except wandb.errors.Error:
        return False


def _log(
    run: Any,
    step: int,
    metrics: dict[str, float] | None = None,
    pictures: dict[str, str] | None = None,
    summary: dict[str, float] | None = None,
) -> None:
    import wandb

    if summary:
        run.summary.update(summary)
    row = {**(metrics or {}), **{name: wandb.Image(path) for name, path in (pictures or {}).items()}}
    if row:
        run.log({**row, STEP: step})


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose modules are not for wandb to find
    main()

"""What the environment tells a task that SLURM's srun has started; and how its job asks to be started again."""

import os
import signal
import subprocess

from genmodels.errors import UserError

REQUEUE: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""What a job is sent that is to stop and be started again, `#SBATCH --signal=USR1@120`."""


def tasks() -> int:
    """How many there are of the step that this process is of; 0 where srun has not started it.

    A batch script has the job's variables too, but not the step's.
    """
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "0")) if "SLURM_STEP_ID" in os.environ else 0


def rank() -> int:
    """Of this task among those of its step."""
    return int(os.environ["SLURM_PROCID"])


def step() -> str | None:
    """What stays the same when a job is started again, "17.0"; None outside of a step."""
    return f"{os.environ['SLURM_JOB_ID']}.{os.environ['SLURM_STEP_ID']}" if tasks() else None


def signals() -> list[signal.Signals]:
    """What a job that is to be started again is sent, where this is one."""
    return [REQUEUE] if REQUEUE is not None and tasks() else []


def is_started_again() -> bool:
    """Whether the job has run before and was requeued, by hand, by `requeue` or because its nodes were needed."""
    return tasks() > 0 and int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0


def requeue() -> None:
    """Have the job started again. What of it still runs is ended by SLURM, this process too.

    Raises:
        UserError: SLURM refuses.
    """
    job = os.environ["SLURM_JOB_ID"]
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        refusal = done.stderr.strip() if done.returncode else None
    except OSError as error:
        refusal = str(error.strerror)
    if refusal:
        raise UserError(f"SLURM does not start job {job} again ({refusal}): submit it with sbatch --requeue")

"""A SLURM of two nodes on this machine's loopback: Debian's slurm-wlm and munge, as root, without systemd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=2
SlurmctldTimeout=30
SlurmdTimeout=30
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def is_possible() -> bool:
    """Whether the programs are there, and the rights."""
    return os.geteuid() == 0 and all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def two_nodes(folder: Path) -> Iterator[dict[str, str]]:
    """Run the body with the cluster up; gives the environment in which SLURM's programs find it."""
    folder.chmod(0o755)
    for name in ("state", "spool.n1", "spool.n2"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(host=socket.gethostname(), folder=folder, ports=_free_ports(3)))
    environment = os.environ | {"SLURM_CONF": str(conf)}
    files = {"key-file": key.name, "socket": "munge.sock", "pid-file": "munged.pid", "seed-file": "munge.seed"}
    options = [f"--{option}={folder / name}" for option, name in {**files, "log-file": "munged.log"}.items()]
    commands = [["munged", "--force", *options], ["slurmctld", "-i"], ["slurmd", "-N", "n1"], ["slurmd", "-N", "n2"]]
    with ExitStack() as running:
        for command, pid_file in zip(commands, ("munged", "slurmctld", "slurmd.n1", "slurmd.n2"), strict=True):
            subprocess.run(command, env=environment, check=True, capture_output=True)
            running.callback(_end, folder / f"{pid_file}.pid")
        running.callback(_end_jobs, environment)
        yield environment


def _free_ports(count: int) -> list[int]:
    with ExitStack() as bound:
        sockets = [bound.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end_jobs(environment: dict[str, str]) -> None:
    subprocess.run(["scancel", "--partition=main"], env=environment, check=True)
    _wait(lambda: not subprocess.run(["squeue", "-h"], env=environment, capture_output=True, check=True).stdout)


def _end(pid_file: Path) -> None:
    process = int(pid_file.read_text())
    os.kill(process, signal.SIGTERM)
    _wait(lambda: not pid_file.exists())  # or it would still write to a folder that is being removed


def _wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)

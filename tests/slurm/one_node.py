"""A real SLURM of one node on this machine, for tests: Debian's slurm-wlm and munge.

python tests/slurm/one_node.py        starts it and stops it again at Ctrl-C
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

OURS = "# Written by tests/slurm/one_node.py of diffattr, which may overwrite and delete it."
CONFIGURATION, RUN = Path("/etc/slurm"), Path("/run/diffattr-slurm")
MUNGE = Path("/run/munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

# No accounting, as on many small clusters. More CPUs and memory are promised than there may be, and
# GPUs that are none: enough to see what is asked for.
SLURM_CONF = """{ours}
ClusterName=diffattr
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=5
ReturnToService=2
MinJobAge=300
KillWait=5
MpiDefault=none
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd.pid
StateSaveLocation={run}/state
SlurmdSpoolDir={run}/spool
SlurmctldLogFile={run}/slurmctld.log
SlurmdLogFile={run}/slurmd.log
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 \
ThreadsPerCore=1 RealMemory=16000 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes={host} MaxTime=INFINITE
"""
GRES_CONF = """{ours}
NodeName={host} Name=gpu File=/dev/null
NodeName={host} Name=gpu File=/dev/zero
"""


def obstacle() -> str | None:
    """Return why no cluster can be started here, or None."""
    if os.geteuid() != 0:
        return "a SLURM of one node needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)}: not installed (Debian: apt-get install slurm-wlm munge)"
    if "slurmctld" in _running().values():
        return (
            f"a slurmctld is running already; one of a killed test ends by kill $(cat {RUN}/*.pid)"
        )
    configuration = CONFIGURATION / "slurm.conf"
    if configuration.exists() and not configuration.read_text().startswith(OURS):
        return f"{configuration} belongs to a cluster that is not ours"
    return None


def _running() -> dict[int, str]:
    """Return the names of processes by their id, without those that have ended."""
    names = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            about = dict(
                line.split(":\t", 1) for line in status.read_text().splitlines() if "\t" in line
            )
            if not about["State"].startswith("Z"):
                names[int(status.parent.name)] = about["Name"]
    return names


@contextlib.contextmanager
def one_node() -> Iterator[None]:
    """Run the cluster for as long as the block lasts, and leave nothing of it behind."""
    pids: list[int] = []
    try:
        _configure()
        if "munged" not in _running().values():
            # Munge refuses a folder that others may write to, and a key that others may read.
            MUNGE.mkdir(mode=0o755, exist_ok=True)
            shutil.chown(MUNGE, "munge", "munge")
            as_munge = ("setpriv", "--reuid=munge", "--regid=munge", "--clear-groups")
            pids.append(_start([*as_munge, "munged"], MUNGE / "munged.pid"))
        pids.append(_start(["slurmctld"], RUN / "slurmctld.pid"))
        pids.append(_start(["slurmd"], RUN / "slurmd.pid"))
        _wait_until_idle()
        yield
    finally:
        for pid in reversed(pids):
            _stop(pid)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)
        shutil.rmtree(RUN, ignore_errors=True)


def _configure() -> None:
    names = {"ours": OURS, "host": socket.gethostname(), "run": RUN}
    for folder in (CONFIGURATION, RUN / "state", RUN / "spool"):
        folder.mkdir(parents=True, exist_ok=True)
    (CONFIGURATION / "slurm.conf").write_text(SLURM_CONF.format(**names))
    (CONFIGURATION / "gres.conf").write_text(GRES_CONF.format(**names))


def _start(command: list[str], pid_file: Path) -> int:
    """Start a daemon, which goes to the background, and return its process id."""
    pid_file.unlink(missing_ok=True)
    subprocess.run(command, check=True)
    _wait_for(lambda: pid_file.exists() and pid_file.read_text().strip(), f"{command[-1]} to start")
    return int(pid_file.read_text())


def _wait_until_idle() -> None:
    sinfo = ["sinfo", "--noheader", "--format=%T", "--partition=main"]
    _wait_for(
        lambda: subprocess.run(sinfo, capture_output=True, text=True).stdout.split() == ["idle"],
        "the node to be idle",
    )


def _wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}; see {RUN}/*.log")
        time.sleep(0.1)


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 15
        while pid in _running():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)


if __name__ == "__main__":
    if reason := obstacle():
        raise SystemExit(reason)
    with one_node(), contextlib.suppress(KeyboardInterrupt):
        print("started; Ctrl-C stops it")
        signal.pause()

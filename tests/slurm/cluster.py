"""A real SLURM on this one machine: one controller, four nodes, GPUs that are files."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

# not SLURM_CONF: a job step that Snakemake starts does not see it
CONFIGURATION = Path("/etc/slurm")
OURS = "# written by tests/slurm, which removes it again\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
NODE_VARIABLE = "SLURMD_NODENAME"
NODES = {"lab-cpu1": 0, "lab-gpu1": 1, "lab-gpu2": 1, "lab-gpu3": 1}

# requeued jobs wait until the credential of their first start has expired: 120 s by default
SLURM_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={lab}/munge.socket,cred_expire=10
SlurmctldPort=16817
SlurmctldPidFile={lab}/slurmctld.pid
SlurmdPidFile={lab}/slurmd-%n.pid
StateSaveLocation={lab}/state
SlurmdSpoolDir={lab}/spool/%n
SlurmctldLogFile={lab}/slurmctld.log
SlurmdLogFile={lab}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=3
MinJobAge=3600
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName=DEFAULT CPUs=8 RealMemory=64000
{nodes}
PartitionName=cpu Nodes=lab-cpu1 Default=YES
PartitionName=gpu Nodes=lab-gpu[1-3]
"""


def why_not():
    """Why no SLURM can be started here; None where it can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0:
        return "SLURM's daemons have to be started by root"
    if "SLURM_JOB_ID" in os.environ:
        return "this is a job of another SLURM"
    if missing:
        return f"SLURM is not installed (no {', '.join(missing)}); tests/slurm/install.sh installs it on Debian"
    conf = CONFIGURATION / "slurm.conf"
    if conf.exists() and not conf.read_text(encoding="utf-8").startswith(OURS):
        return f"{conf} is of another SLURM, which is left alone"
    return None


def run(*command):
    """What a command prints; an error with all it said where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait_for(what, condition, seconds=60):
    """The first value of `condition()` that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)
    return value


class Cluster:
    """The daemons, with all their state in the folder `lab`; a context manager.

    Parameters
    ----------
    lab
        An empty folder that other users can enter but not write to.
    """

    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        CONFIGURATION.mkdir(exist_ok=True)
        self.turn = os.open(CONFIGURATION, os.O_RDONLY)
        # another run of the tests has the configuration and the ports until it ends
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        for name in ("state", "spool"):
            (self.lab / name).mkdir()
        for name in ("gpu0", "munge.seed"):
            (self.lab / name).touch()
        host = os.uname().nodename.split(".")[0]
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={17000 + number}"
            + f" Gres=gpu:fake:{gpus}" * (gpus > 0)
            for number, (name, gpus) in enumerate(NODES.items())
        )
        conf = SLURM_CONF.format(host=host, lab=self.lab, nodes=nodes)
        gres = f"NodeName=lab-gpu[1-3] Name=gpu Type=fake File={self.lab}/gpu0\n"
        (CONFIGURATION / "gres.conf").write_text(OURS + gres, encoding="utf-8")
        (CONFIGURATION / "slurm.conf").write_text(OURS + conf, encoding="utf-8")
        try:
            self._start_munge()
            run("slurmctld", "-c")
            for node in NODES:
                self.start(node)
            wait_for("idle nodes", lambda: run("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(NODES))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_munge(self):
        key = self.lab / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {name: self.lab / f"munge.{name}" for name in ("socket", "seed", "log", "pid")}
        options = [f"--{name}-file={files[name]}" for name in ("seed", "log", "pid")]
        run("munged", "--force", f"--key-file={key}", f"--socket={files['socket']}", *options)

    def __exit__(self, *_):
        for node in NODES:
            self.crash(node)
        for name in ("slurmctld", "munge"):
            pid_file = self.lab / f"{name}.pid"
            if pid_file.exists():
                _signal(int(pid_file.read_text()), signal.SIGKILL)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink()
        os.close(self.turn)

    def start(self, node):
        """Boot a node."""
        # SLURM sets this variable for the jobs, too
        run("env", f"{NODE_VARIABLE}={node}", "slurmd", "-N", node)

    def crash(self, node):
        """Cut a node's power: its daemon and all that runs on it are gone at once."""
        pids = _processes_with(f"{NODE_VARIABLE}={node}")
        pids += [parent for parent in map(_parent, pids) if _read(parent, "comm").strip() == "slurmstepd"]
        # stopped first, so that none reports the end of another
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                _signal(pid, number)

    def jobs(self):
        """SLURM's own record of every job so far, in the order of submission: its fields by name."""
        text = run("scontrol", "show", "job", "--oneliner")
        lines = [line.strip() for line in text.splitlines() if line.startswith("JobId=")]
        return [dict(re.findall(r"(\S+?)=(.*?)(?= [\w/:]+=|$)", line)) for line in lines]

    def signal(self, job, command, number):
        """Send a signal to those processes of a running job whose command line contains `command`."""
        pids = [pid for pid in _processes_with(f"SLURM_JOB_ID={job['JobId']}") if command in _read(pid, "cmdline")]
        assert pids, f"no {command} in {job}"
        for pid in pids:
            os.kill(pid, number)


def _processes_with(variable):
    """The processes that have `NAME=value` in their environment."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if variable in _read(pid, "environ").split("\0")]


def _parent(pid):
    (parent,) = re.findall(r"^PPid:\s+(\d+)", _read(pid, "status"), flags=re.MULTILINE) or [0]
    return int(parent)


def _read(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # it has ended meanwhile


def _signal(pid, number):
    with suppress(ProcessLookupError):
        os.kill(pid, number)

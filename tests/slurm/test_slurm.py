"""The whole workflow through a real SLURM with fake GPUs, and what goes wrong on the way."""

import shutil
import signal
from types import SimpleNamespace

import pytest
from cluster import Cluster, run, wait_for, why_not
from running import ROOT, TINY, copy_project, planned, running, snakemake

pytestmark = [pytest.mark.long, pytest.mark.slurm, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

PAGES = ("results/tiny/tables/table1.md", "results/tiny/figures/fig4_shufflenet_deo.png")
# long enough for something to happen in between, with one student that has a base
STUDY = (
    "--configfile", TINY,
    "--config", "training={epochs: 6}", "methods=[from_resnet, balanced]", "paper_method=null", "paper_values=null",
)  # fmt: skip
# this cluster keeps no accounts, and answers at once
SUBMIT = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", 2)
# the executor waits 10 s longer each time that no job has ended, which no option shortens
ASKS_EVERY_SECOND = """import asyncio
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.sleep = lambda _: asyncio.sleep(1)
main()
"""
# no model stands on the one that hangs, so that the rest of the study goes on while it runs into its limit of a minute
HANGS, IS_KILLED, LOSES_ITS_NODE = (
    ("train_model", "digits_s", "shufflenet", "balanced", "0"),
    ("train_model", "digits_s", "resnet", "teacher", "0"),
    ("train_model", "digits_s", "shufflenet", "teacher", "0"),
)


def configure(project):
    """Fill in the blanks of the profile, as a user does for a cluster."""
    path = project / "profiles" / "slurm" / "config.yaml"
    text = path.read_text(encoding="utf-8")
    for blank, value in (("slurm_partition", "cpu"), ("slurm_partition", "gpu"), ("gpu_model", "fake")):
        assert f'{blank}: ""' in text
        text = text.replace(f'{blank}: ""', f"{blank}: {value}", 1)
    path.write_text(text, encoding="utf-8")
    return path.parent


def name_of(job):
    """The rule and the wildcards, as the executor writes them into the comment; the last, the fold, is empty."""
    return job["Comment"].strip().removeprefix("rule_").replace("_wildcards_", "_").removesuffix("_")


def log_of(job, directory):
    rule, *wildcards = job
    name = ".".join([*wildcards[:-1], f"seed{wildcards[-1]}.log"])
    return directory / "logs" / "tiny" / rule / name


def interfere(cluster, process, directory):
    """After two epochs, hang one training, kill another, and cut the power of a third one's node; the node's name."""
    waiting = {HANGS, IS_KILLED, LOSES_ITS_NODE}
    node = None

    def strike():
        nonlocal node
        assert process.poll() is None, "Snakemake has ended too early"
        for job in list(waiting):
            log = log_of(job, directory)
            if not (log.exists() and "epoch 2/" in log.read_text()):
                continue
            (record,) = (each for each in cluster.jobs() if name_of(each) == "_".join(job))
            if job == HANGS:
                cluster.signal(record, "scripts.train_model", signal.SIGSTOP)
                run("scontrol", "update", f"JobId={record['JobId']}", "TimeLimit=1")
            elif job == IS_KILLED:
                cluster.signal(record, "scripts.train_model", signal.SIGKILL)
            else:
                node = record["BatchHost"]
                cluster.crash(node)
            waiting.remove(job)
        return not waiting

    wait_for("two epochs of three trainings", strike, seconds=600)
    return node


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What SLURM's records say of a study that was submitted, and where it was computed."""
    project = copy_project(tmp_path_factory.mktemp("checkout") / "project")
    directory = tmp_path_factory.mktemp("study")
    shutil.copytree(ROOT / "config", directory / "config")
    submit = ("--profile", configure(project), *SUBMIT)
    log = directory / "snakemake.log"
    lab = tmp_path_factory.mktemp("slurm")
    with Cluster(lab) as cluster, log.open("w") as output:
        where = {"project": project, "directory": directory}
        download = snakemake(*submit, "--retries", 0, "resources/no_such.tar.gz", *STUDY, **where)
        jobs_of_download = cluster.jobs()
        process = running(*submit, *PAGES, *STUDY, **where, program=("-c", ASKS_EVERY_SECOND), stdout=output)
        try:
            lost_node = interfere(cluster, process, directory)
            process.wait(timeout=1200)
        finally:
            process.kill()  # its jobs end with the cluster
            process.wait()
        jobs = cluster.jobs()
    return SimpleNamespace(
        status=process.returncode,
        output=log.read_text(),
        jobs=jobs,
        lost_node=lost_node,
        download=download.stdout,
        jobs_of_download=jobs_of_download,
        **where,
    )


def attempts(ran, job):
    """SLURM's records of one job, one for each submission."""
    return [record for record in ran.jobs if name_of(record) == "_".join(job)]


def resumed(ran, job):
    return "resuming after epoch" in log_of(job, ran.directory).read_text()


def test_it_ends_with_a_table_and_a_figure_and_nothing_is_left_to_do(ran):
    assert ran.status == 0, ran.output
    assert all((ran.directory / page).exists() for page in PAGES)
    # nor for a Snakemake without SLURM
    assert planned(*PAGES, *STUDY, project=ran.project, directory=ran.directory) == {}


def test_the_download_runs_where_snakemake_does(ran):
    assert "'no_such.tar.gz' is unknown" in ran.download
    assert ran.jobs_of_download == []


def test_every_training_asks_for_one_gpu_and_nothing_else_does(ran):
    asked = {name_of(job): (job["Partition"], job.get("TresPerJob")) for job in ran.jobs}
    trainings = {name for name in asked if name.startswith("train_model")}
    assert len(trainings) == 4
    for name, request in asked.items():
        assert request == (("gpu", "gres:gpu:fake:1") if name in trainings else ("cpu", None)), name


def test_trainings_run_side_by_side_though_one_machine_is_limited_to_one(ran):
    (first, *_), (second, *_) = attempts(ran, HANGS), attempts(ran, IS_KILLED)
    assert first["StartTime"] < second["EndTime"]
    assert second["StartTime"] < first["EndTime"]


def test_small_jobs_share_an_allocation(ran):
    others = [job for job in ran.jobs if job["Partition"] == "cpu"]
    assert len(others) == 3, others  # the data set, four evaluations, and the tables and the figure


def test_a_job_that_fails_is_tried_again_with_more_memory(ran):
    failed, again = attempts(ran, IS_KILLED)
    assert (failed["JobState"], again["JobState"]) == ("FAILED", "COMPLETED")
    assert (failed["MinMemoryNode"], again["MinMemoryNode"]) == ("3000M", "6000M")
    assert resumed(ran, IS_KILLED)


def test_a_training_past_its_time_limit_goes_on_from_its_checkpoint_with_more_time(ran):
    late, again = attempts(ran, HANGS)
    assert (late["JobState"], again["JobState"]) == ("TIMEOUT", "COMPLETED")
    (usual, _) = attempts(ran, IS_KILLED)
    assert (usual["TimeLimit"], again["TimeLimit"]) == ("08:00:00", "16:00:00")
    assert resumed(ran, HANGS)


def test_a_job_whose_node_goes_down_goes_on_elsewhere(ran):
    (job,) = attempts(ran, LOSES_ITS_NODE)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert job["BatchHost"] != ran.lost_node
    assert resumed(ran, LOSES_ITS_NODE)

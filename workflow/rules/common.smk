import functools
import json
import os
import shlex
import sys
import time
from pathlib import Path

ROOT = str(Path(str(workflow.current_basedir)).parents[1])
# the project need not be installed beside the user's own Snakemake
sys.path.insert(0, ROOT)

from fairdistill.settings.reading import complete, grids, method_of_paper
from fairdistill.runtime.devices import visible_gpus
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.progress import plan_trainings
from fairdistill.runtime.provenance import code_version, constant

try:
    config.update(complete(config))
except UserError as error:
    sys.exit(f"error: {error}")

if config["paper_values"] and not Path(config["paper_values"]).is_file():
    sys.exit(
        f"error: config: paper_values is {config['paper_values']}, and there is no such file; "
        "give a CSV like config/paper_values.csv, or null"
    )

# of this call of Snakemake, and of the processes that it starts for its jobs
RUN = os.environ.setdefault("FAIRDISTILL_RUN", f"{time.time_ns()}")

# not among the settings that a training is told: it changes no result
GPU_SLOTS = config["training"].pop("gpu_slots")

# what every job finds in its environment; not parameters, as a moved checkout or another mirror changes no result
# safe: a torch.py in the user's folder is not taken for torch
environment = {
    "PYTHONPATH": ROOT,
    "PYTHONSAFEPATH": "1",
    "FAIRDISTILL_RUN": RUN,
    "FAIRDISTILL_GPU_SLOTS": str(GPU_SLOTS),
}
if config["data"]["mirror"]:
    environment["FAIRDISTILL_MIRROR"] = config["data"]["mirror"]
exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in environment.items())
shell.prefix(f"{exports}source {shlex.quote(f'{ROOT}/workflow/job.sh')}; ")

GPUS = visible_gpus()
# trainings on this machine's GPUs at a time, unless --resources gpu=... says it; no limit to what a scheduler starts
# elsewhere, as profiles/default makes the resource a local one
workflow.global_resources.setdefault("gpu", max(1, len(GPUS) * GPU_SLOTS))

RESULTS = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
GRIDS = grids(config)
GRID = GRIDS[-1]
DATA = f"{RESULTS}/data/{{dataset}}"
DATA_FILES = {
    "images": f"{DATA}/images.npy",
    "samples": f"{DATA}/samples.parquet",
    "info": f"{DATA}/dataset.json",
}
MODEL = f"{RESULTS}/models/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}"
METRICS = f"{RESULTS}/metrics/{{dataset}}/{{architecture}}/{{method}}/seed{{seed}}.json"


wildcard_constraints:
    dataset="|".join(config["data"]["sets"]),
    architecture="|".join(config["models"]),
    method="|".join(["teacher", *config["students"]]),
    seed=r"\d+",
    number=r"\d+",
    metric="accuracy|deo",


def paths(pattern, grids):
    """`pattern` for every model of `grids`, teachers and students."""
    return list(dict.fromkeys(path for grid in grids for path in expand(pattern, **grid)))


def tables():
    names = ["runs.csv", "summary.csv", "paired.csv", "paired.md"]
    names += ["table1.csv", "table1.md", "table1.tex"]
    if len(config["methods"]) > 1 or config["ablations"]:
        names += ["ablations.csv", "ablations.md", "ablations.tex"]
    if config["paper_values"]:
        names += ["paper_vs_reproduced.csv", "paper_vs_reproduced.md", "paper_conclusions.csv"]
    return [f"{RESULTS}/tables/{name}" for name in names]


def figures():
    names = ["fig1_architecture"]
    for number, architecture in enumerate(config["models"], start=1):
        if architecture in config["architectures"]:
            names += [
                f"fig{2 * number}_{architecture}_deo",
                f"fig{2 * number + 1}_{architecture}_accuracy",
            ]
    return expand(f"{RESULTS}/figures/{{name}}.{{ext}}", name=names, ext=["pdf", "png"])


def job(name, study=config["study"]):
    """A job's name, where its failures are noted, and the last before this run: what `job` in workflow/job.sh takes.

    Snakemake notes a failed job's parameters as if it had succeeded, and then takes the earlier outputs, or none, for
    up to date. As a parameter, the last failure makes it plan the job again.
    """
    failures = Path(".snakemake", "failed", study)
    words = f"{shlex.quote(name)} {failures}/{name.replace(' ', '.')}"
    # without any failure there is nothing to look up for each job
    if not failures.is_dir() or not any(failures.iterdir()):
        return f"{words} none"

    def with_last_failure(wildcards):
        failed = failures / name.format(**wildcards).replace(" ", ".")
        # a full disk leaves the file empty
        runs = failed.read_text().split() or ["unknown"] if failed.exists() else []
        # a retry on a cluster is planned anew: this run's failures do not count
        last = next((run for run in reversed(runs) if run != RUN), "none")
        return f"{words.format(**wildcards)} {last}"

    return with_last_failure


def kept(files):
    """Outputs whose earlier version stays until the new one takes its place, and comes back if the job fails."""
    return {name: update(path) for name, path in files.items()}


def option_of_method():
    """The option that names the students to set beside the paper's, if there are some."""
    method = method_of_paper(config)
    return f"--method {method}" if method else ""


def as_json(value):
    return json.dumps(value, sort_keys=True)


def archive_of(wildcards):
    """The raw archive that a data set is made from; none where it is embedded."""
    kind = config["data"]["sets"][wildcards.dataset]["kind"]
    archive = constant(f"fairdistill.data.{kind}", "ARCHIVE")
    return ancient(f"resources/{archive}") if archive else []


def files_of_model(method="{method}", architecture="{architecture}"):
    folder = MODEL.replace("{method}", method).replace("{architecture}", architecture)
    return {
        "weights": f"{folder}/weights.safetensors",
        "predictions": f"{folder}/predictions.parquet",
        "history": f"{folder}/history.csv",
        "training": f"{folder}/training.json",
    }


def code_of_training(script, architecture, method):
    """Version of all that decides a training's result: the script's code, architecture's, method's and engine's."""
    modules = (
        constant("fairdistill.networks", "ARCHITECTURES")[architecture["kind"]],
        constant("fairdistill.methods", "METHODS")[method["kind"]],
        constant("fairdistill.training.engines", "ENGINES")[config["training"]["engine"]],
    )
    return code_version(script, *(module.split(":")[0] for module in modules))


def settings_of_method(method):
    """What a training is told of its method; which teacher a student gets is the workflow's part."""
    settings = config["teacher"] if method == "teacher" else config["students"][method]
    return {key: value for key, value in settings.items() if key != "teacher"}


def architecture_of_teacher(wildcards):
    """None where the student's method needs no teacher."""
    teacher = config["students"][wildcards.method].get("teacher")
    return wildcards.architecture if teacher == "same" else teacher


def teacher_of(wildcards):
    """The weights that a student is distilled from; none where its method needs no teacher."""
    architecture = architecture_of_teacher(wildcards)
    if architecture is None:
        return []
    return files_of_model(method="teacher", architecture=architecture)["weights"]


def teacher_options(wildcards, input):
    if not input.teacher:
        return ""
    architecture = as_json(config["models"][architecture_of_teacher(wildcards)])
    return f"--teacher {input.teacher} --teacher-architecture {shlex.quote(architecture)}"


@functools.cache
def options_of_training(script, dataset, architecture, method):
    """What a training is told beside its inputs and its seed, and the names that its record is filed under."""
    names = {"study": config["study"], "dataset": dataset, "architecture": architecture, "method": method}
    teacher = config["students"].get(method, {}).get("teacher", "same")
    if teacher not in ("same", architecture):
        names["teacher"] = teacher
    options = {
        "architecture": config["models"][architecture],
        "method": settings_of_method(method),
        "training": config["training"],
        "run": names,
    }
    code = code_of_training(script, options["architecture"], options["method"])
    return (
        " ".join(f"--{name} {shlex.quote(as_json(value))}" for name, value in options.items())
        + f" --code {code}"
    )


def gpus_per_training():
    """0 where training stays on the CPU: there it is the cores that limit how many run at once."""
    device = config["training"]["device"]
    return int(device == "cuda" or (device == "auto" and bool(GPUS)))

# Options of the scripts, as they follow from the configuration.
import functools
import json
import shlex
from pathlib import Path

from fairdistill.runtime.provenance import code_version
from fairdistill.settings.study import Place


def as_json(value):
    return json.dumps(value, sort_keys=True)


def as_ordered_json(value):
    """The same where the order of names has a meaning, as that of the models of a sweep."""
    return json.dumps(value)


def archives_option(wildcards, input):
    files = STUDY.data.sets[wildcards.dataset].own_files or input.archives
    return f"--archives {shlex.join(files)}" if files else ""


def seed_option(wildcards):
    return f"--seed {wildcards.draw.removeprefix('.seed')}" if wildcards.draw else ""


def code_of_data(wildcards):
    """Version of the code that makes a data set."""
    return code_version("scripts.prepare_dataset", STUDY.data.sets[wildcards.dataset].implementation)


@functools.cache
def code_of_training(architecture, method):
    """Version of the code that decides a training's result: the script's, the network's, the method's, the engine's."""
    return code_version(
        "scripts.train_model",
        STUDY.networks[architecture].implementation,
        STUDY.method(method).implementation.split(":")[0],
        STUDY.training.engines[STUDY.training.engine],
    )


@functools.cache
def settings_of_training(dataset, architecture, method):
    """The options of a training that do not depend on its seed: settings, code, and the names in its record."""
    base = STUDY.base(Place(architecture, method))
    options = {
        "network": STUDY.networks[architecture].to_json(),
        "method": STUDY.method(method).parameters(),
        "training": STUDY.training.to_json(),
        "names": {
            "study": STUDY.study,
            "dataset": dataset,
            "architecture": architecture,
            "method": method,
            "role": STUDY.role(method),
            "base": base and base._asdict(),
        },
    }
    if base:
        options["base-network"] = STUDY.networks[base.architecture].to_json()
    words = " ".join(f"--{name} {shlex.quote(as_json(value))}" for name, value in options.items())
    if checkpoint := STUDY.file_of(Place(architecture, method)):
        words += f" --checkpoint {shlex.quote(checkpoint)}"
    return f"{words} --code {code_of_training(architecture, method)}"


def training_options(wildcards):
    """All options of a training. One function for all: each costs planning a large grid a hundredth of its time."""
    settings = settings_of_training(wildcards.dataset, wildcards.architecture, wildcards.method)
    base, fold = base_of(wildcards), wildcards.fold.removeprefix("-fold")
    return (
        f"--data {Path(data_of(wildcards)['info']).parent} {settings} {f'--base {base} ' if base else ''}"
        f"--seed {wildcards.seed} {f'--fold {fold} ' if fold else ''}--output {MODEL_FOLDER.format(**wildcards)}"
    )


def reference_options():
    """Names the methods that all others are compared with."""
    return " ".join(f"--reference {name}" for name in STUDY.compared_with)


def paper_method_option():
    """Names the students that stand beside the paper's; the teachers alone are compared where there are none."""
    return f"--method {STUDY.paper_method}" if STUDY.paper_method else ""


def paper_values_option(wildcards, input):
    return f"--paper-values {shlex.quote(str(input.paper_values))}" if input.paper_values else ""

# Options of the scripts, as they follow from the configuration. What holds text of the user's is a function where a rule
# has it as a parameter: in a text, Snakemake would take braces for wildcards.
import functools
import json
import os.path
import shlex
from pathlib import Path

from fairdistill.runtime.files import sha256
from fairdistill.runtime.own_files import cache_of_content
from fairdistill.runtime.provenance import code_version, tracked_state, untracked_code
from fairdistill.settings.names import ModelName


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


def threads_of_data(wildcards):
    """The user's own images are decoded in several threads, as many as Snakemake says in OMP_NUM_THREADS.

    See fairdistill/runtime/parallel.py.
    """
    return 8 if STUDY.data.sets[wildcards.dataset].settings_of_paths else 1


def code_of_data(wildcards):
    """Version of the code that makes a data set, and of the user's own files, where it is made from these."""
    code = code_version("scripts.prepare_dataset", STUDY.data.sets[wildcards.dataset].implementation)
    content = planned_content_of_own_files(wildcards.dataset)
    return f"{code}-{content.digest[:12]}" if content else code


def content_option(wildcards):
    """Names the file by which the job finds what is in the user's own files, as the plan has found it."""
    files = STUDY.data.sets[wildcards.dataset].own_files
    return f"--content-cache {cache_of_content(f'data.sets.{wildcards.dataset}', files)}" if files else ""


def content_of_checkpoint(wildcards):
    """The first digits of the SHA-256 of a model's `checkpoint_of`; empty without one, and where it is not there."""
    file = checkpoint_of(wildcards)
    if not file or not os.path.isfile(file):
        return ""
    return planned_content(key_of_weights(file), (file,)).files.get("0", "")[:12]


@functools.cache
def code_of_model(script, architecture, method, *modules):
    """Version of the code that decides what a script makes of a model: its own, the network's, the method's, and others."""
    implementation, _, _ = STUDY.method(method).implementation.partition(":")
    return code_version(script, STUDY.networks[architecture].implementation, implementation, *modules)


@functools.cache
def settings_of_training(dataset, model):
    """The options of a training that do not depend on its seed: settings, code, and the names in its record."""
    base = STUDY.base(model)
    options = {
        "network": STUDY.networks[model.architecture].to_json(),
        "method": STUDY.method(model.method).parameters(),
        "training": STUDY.training.to_json(),
        "names": {
            "study": STUDY.study,
            "dataset": dataset,
            **model.to_json(),
            "role": STUDY.role(model.method),
            "base": base and base.to_json(),
        },
    }
    if base:
        options["base-network"] = STUDY.networks[base.architecture].to_json()
    words = " ".join(f"--{name} {shlex.quote(as_json(value))}" for name, value in options.items())
    if checkpoint := STUDY.file_of(model):
        words += f" --checkpoint {shlex.quote(checkpoint)}"
    engine = STUDY.training.engines[STUDY.training.engine]
    return f"{words} --code {code_of_model('scripts.train_model', model.architecture, model.method, engine)}"


def training_options(wildcards):
    """All options of a training. One function for all: each costs planning a large grid a hundredth of its time."""
    settings = settings_of_training(wildcards.dataset, ModelName(**wildcards))
    base = "".join(f"--{name.replace('_', '-')} {path} " for name, path in base_of(wildcards).items())
    fold = wildcards.fold.removeprefix("-fold")
    return (
        f"--data {Path(data_of(wildcards)['info']).parent} {settings} {base}"
        f"--seed {wildcards.seed} {f'--fold {fold} ' if fold else ''}--output {MODEL_FOLDER.format(**wildcards)}"
    )


def beside_options(wildcards, input):
    """Names the files of the model that a card compares its own with."""
    if "base_metrics" not in input.keys():
        return ""
    folder = Path(input.base_record).parent
    return f"--base-metrics {input.base_metrics} --base-exported {folder} --base-speed {input.base_speed}"


def terms_option(wildcards):
    """What the images may be used for, where the configuration says so."""
    terms = STUDY.export.data_terms
    return f"--terms {shlex.quote(terms)}" if terms else ""


def reference_options():
    """Names the methods that all others are compared with."""
    return " ".join(f"--reference {name}" for name in STUDY.reference_methods)


def paper_method_option():
    """Names the students that stand beside the paper's; the teachers alone are compared where there are none."""
    return f"--method {STUDY.paper_method}" if STUDY.paper_method else ""


def code_of_page():
    """Version of the code that makes a page, and of the file that it fills in."""
    template = sha256(Path(ROOT, "fairdistill/reporting/page/page.html"))
    return f"{code_version('scripts.make_page')}-{template[:12]}"


def page_options(wildcards, input):
    """Names what the page of a study shows.

    Without the models, figures that are made from them are shown as they are here, as in a fresh clone.
    """
    figures, projections = [*input.figures], drawn_projections()
    if not has_models():
        figures += [path for path in from_models() if path.endswith(".png") and os.path.isfile(path)]
        projections = projections if all(map(os.path.isfile, projections)) else []
    words = [
        "--study",
        STUDY.study,
        "--method",
        PAGE_METHOD,
        "--tables",
        *input.tables,
        "--figures",
        *figures,
    ]
    if projections:
        words += ["--projections", PROJECTION]
    return shlex.join(words)


def archived_files(wildcards, input):
    """What an archive has beside the metrics. Without the models, what is made from them is taken as it is here."""
    here = [] if has_models() else [path for path in from_models() if os.path.isfile(path)]
    return [*input.files, *here]


def config_to_publish():
    """What the user gave as configuration, but for the address of a mirror, which may hold a password.

    Laid over config/config.yaml, which is in the archive, it is the same study again.
    """
    data = {name: value for name, value in GIVEN.get("data", {}).items() if name != "mirror"}
    return {
        **{name: value for name, value in GIVEN.items() if name != "data"},
        **({"data": data} if data else {}),
    }


def paper_values_option(wildcards, input):
    return f"--paper-values {shlex.quote(str(input.paper_values))}" if input.paper_values else ""

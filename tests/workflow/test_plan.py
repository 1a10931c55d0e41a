"""What a dry run plans, for given configurations; and that the workflow is in good style."""

import json
import os
import re
import shlex
import subprocess
import time
from collections import Counter

import pytest
from fake_gpus import fake_gpus
from running import ROOT, TINY, copy_configuration, copy_project, jobs_of, planned, snakemake
from synthetic_celeba import miniature, write_unpacked

from fairdistill.runtime.machine import memory_mb

PAPER = {
    "download_dataset": 2,
    "prepare_dataset": 2,
    "train_model": 40,
    "evaluate_model": 40,
    "aggregate_results": 1,
    "make_table": 1,
    "make_criteria": 1,
    "compare_with_paper": 1,
    "plot_architecture": 1,
    "plot_comparison": 4,
    "plot_paper_bars": 4,
    "plot_slopes": 2,
    "plot_training_curves": 2,
    "make_page": 1,
}

# what Snakemake says before it reads the rules
NOTES = ("Config file", "Using workflow specific profile")
PROBE = """include: "{root}/Snakefile"
print(workflow.get_rule("train_model").resources["gpu"])
print(workflow.global_resources["gpu"])
print([workflow.get_rule("train_model").resources["mem_mb"].evaluate(None, attempt=n).value for n in (1, 2)])
print("all trainings together:", workflow.global_resources.get("mem_mb"))
import os; print("GPUs of jobs:", os.environ.get("CUDA_VISIBLE_DEVICES"))
"""
TOLD = """import atexit, gc, sys
ours = lambda: {name.removeprefix("fairdistill.") for name in sys.modules if name.startswith("fairdistill.")}
further = lambda: {name for name in ours() if name.split(".")[0] not in ("runtime", "settings")}
atexit.register(lambda: print("loaded beside settings and runtime:", sorted(further() | {"torch"} & set(sys.modules))))
atexit.register(lambda: print("collects:", gc.isenabled()))
from snakemake.cli import main; main()"""


@pytest.fixture(scope="module")
def papers_plan(tmp_path_factory):
    """What a dry run of the paper's grid prints with another number of epochs, and what Python says at its end."""
    given = ("--printshellcmds", "--config", 'training={"epochs": 7}')
    directory = copy_configuration(tmp_path_factory.mktemp("paper"))
    done = snakemake("--dry-run", *given, directory=directory, program=("-c", TOLD))
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_papers_grid(papers_plan):
    assert jobs_of(papers_plan) == PAPER


def test_the_command_line_narrows_the_grid_and_pages_of_a_wider_one_are_named(workdir):
    pages = ["figures/cells_utkface_resnet.png", "figures/fig2_resnet_deo.pdf", "tables/methods.csv"]
    # what this grid makes, too, what no rule makes, and what is no page
    others = ["figures/fig4_shufflenet_deo.pdf", "tables/runs.csv", "tables/splits.csv", "metrics/methods.csv"]
    for name in (*pages, *others):
        path = workdir / "results" / "reproduction" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    # without models it is a published study, whose pages may be those of several configurations
    (workdir / "results/reproduction/models").mkdir()
    narrowed = ("seeds=[0, 1, 2]", "datasets=[cifar10s]", "architectures=[shufflenet]")
    done = snakemake("--dry-run", "--config", *narrowed, directory=workdir)
    what = "tables or figures that this configuration does not make, 3 in all"
    (line,) = re.findall(r"^warning: .*", done.stdout, flags=re.MULTILINE)
    assert line.startswith(f"warning: results/reproduction has {what}: {', '.join(pages)}; they stay ")
    # what is drawn as in the paper has both data sets
    assert jobs_of(done.stdout) | {"plot_paper_bars": 4} == PAPER | {
        "download_dataset": 1,
        "prepare_dataset": 1,
        "train_model": 6,
        "evaluate_model": 6,
        "plot_comparison": 2,
        "plot_slopes": 1,
        "plot_training_curves": 1,
    }
    assert "plot_paper_bars" not in jobs_of(done.stdout)


def test_maps_on_the_command_line_are_merged(papers_plan):
    assert len(re.findall(r'"epochs": 7,.*"learning_rate": 0\.001', papers_plan)) == 40


def test_a_plan_loads_no_torch_and_of_the_project_only_what_names_settings_and_files(papers_plan):
    assert "loaded beside settings and runtime: ['export', 'export.files']" in papers_plan.splitlines()


def test_the_demo_needs_no_download(workdir):
    jobs = planned("--configfile", workdir / "config" / "demo.yaml", directory=workdir)
    assert jobs["prepare_dataset"] == 1
    assert not {"download_dataset", "compare_with_paper"} & set(jobs)
    # teachers and students of two architectures, of two seeds, and of the small one, of one
    assert jobs["train_model"] == jobs["evaluate_model"] == 4 * 2 + 2


def test_the_template_for_images_and_a_model_of_ones_own(workdir):
    """With other paths in the place of its own."""
    for name in ("photos/a.png", "labels.csv", "model.pth"):
        (workdir / "yours" / name).parent.mkdir(parents=True, exist_ok=True)
        (workdir / "yours" / name).write_bytes(b"image\na.png\n")
    text = (workdir / "config" / "own_images.yaml").read_text(encoding="utf-8")
    (workdir / "mine.yaml").write_text(text.replace("mine/", "yours/"), encoding="utf-8")
    jobs = planned("export", "--configfile", workdir / "mine.yaml", directory=workdir)
    # the teacher is imported, and exported beside the students
    assert jobs.items() >= {"prepare_dataset": 1, "train_model": 3, "export_model": 3}.items()


def test_five_methods_side_by_side_with_a_validation_split(workdir):
    given = ("--configfile", workdir / "config" / "methods_demo.yaml")
    done = snakemake("--dry-run", "--printshellcmds", *given, directory=workdir)
    # the teacher and five students, of two architectures and two seeds
    assert jobs_of(done.stdout)["train_model"] == 6 * 2 * 2
    table = "results/methods_demo/tables/validation.csv"
    (rule,) = re.findall(r"^rule aggregate_results:.*?\n\n", done.stdout, flags=re.MULTILINE | re.DOTALL)
    assert re.search(rf"^ +output: .*{table}", rule, flags=re.MULTILINE)
    assert f"--validation {table}" in done.stdout


def test_a_study_of_sweeps_draws_each_setting_and_chooses_by_the_validation_split_alone(workdir):
    given = ("--configfile", workdir / "config" / "sweeps_digits.yaml")
    done = snakemake("--dry-run", "--printshellcmds", *given, directory=workdir)
    jobs = jobs_of(done.stdout)
    # the teacher, and 5 values of lambda, 3 of sigma and 4 of layers, of five seeds
    assert jobs["train_model"] == 5 * (1 + 5 + 3 + 4)
    assert [jobs[rule] for rule in ("plot_sweep", "choose_settings", "report_search")] == [3, 1, 1]
    rule = done.stdout.split("rule choose_settings:")[1]
    assert re.search(r"^ +input: (.*)$", rule, flags=re.MULTILINE)[1] == "results/sweeps_digits/tables/validation.csv"
    (searches,) = re.findall(r"--searches '(.*?)'", rule)
    # of models that are equally good the first is chosen
    models = [*json.loads(searches)[0]["models"]]
    assert models == ["mfd-lambda0", "mfd-lambda1", "mfd-lambda3", "mfd-lambda10", "mfd-lambda30"]
    # the figures mark the choice
    assert done.stdout.count("--search results/sweeps_digits/tables/search.csv --pdf") == 3


def test_the_ablations_are_the_papers_grid_and_more(workdir):
    jobs = planned("--configfile", workdir / "config" / "ablations.yaml", directory=workdir)
    # five seeds of: the paper's four, with two methods more; two data sets more; two stems more
    assert jobs["train_model"] == 5 * ((4 + 4 * 3) + (4 + 4) + (2 + 2))
    assert (jobs["make_table"], jobs["make_ablations"], jobs["plot_comparison"]) == (1, 1, 4)
    assert (jobs["download_dataset"], jobs["prepare_dataset"]) == (2, 4)


def test_features_are_probed_where_the_configuration_says_so(workdir):
    probed = planned("--configfile", TINY, "--config", "probe_features=true", directory=workdir)
    # of the main grid and its base, and not of the ablation
    assert (probed["probe_features"], probed["make_features"]) == (4, 1)
    # they need the models, unlike all other tables
    pages = planned("figures", "--configfile", TINY, "--config", "probe_features=true", directory=workdir)
    assert not {"probe_features", "make_features"} & set(pages)


def test_the_page_shows_features_where_they_are_probed(workdir):
    words = ("pages", "--printshellcmds", "--configfile", TINY)
    done = snakemake("--dry-run", *words, "--config", "probe_features=true", "seeds=[4, 3]", directory=workdir)
    jobs = jobs_of(done.stdout)
    # of the first seed: the main grid's three models and the teacher of another architecture
    assert (jobs["probe_features"], jobs["make_page"]) == (4, 1)
    # the tables are in the order of the numbers
    assert "mfd/seed3.parquet" in done.stdout
    (options,) = re.findall(r"scripts\.make_page .*", done.stdout)
    pattern = "results/tiny/features/{dataset}/{architecture}/{method}/seed{seed}{fold}.parquet"
    assert f"--projections '{pattern}'" in options
    assert "--study tiny --method mfd --tables results/tiny/tables/paired.md results/tiny/tables/table1.md" in options
    assert "--projections" not in snakemake("--dry-run", *words, directory=workdir).stdout


def test_an_archive_has_the_configuration_but_not_the_address_of_a_mirror(workdir):
    words = ("archive", "--printshellcmds", "--configfile", TINY, "--config", "data={mirror: 'https://me:secret@host'}")
    done = snakemake("--dry-run", *words, directory=workdir)
    (options,) = re.findall(r"scripts\.archive_study .*", done.stdout)
    assert '"study": "tiny"' in options
    assert "--folder results/tiny --files results/tiny/tables/runs.csv " in options
    assert "mirror" not in options
    assert "secret" not in options


def test_the_whole_plan_of_a_study_on_celeba(workdir):
    """Its files are downloaded, unless the user has them; what needs a validation split has the official one."""
    write_unpacked(workdir / "my faces", *miniature())
    sets = "faces: {kind: celeba}, own: {kind: celeba, target: Smiling, folder: my faces}"
    grid = ("datasets=[faces, own]", "training={keep: best}", f"data={{sets: {{{sets}}}}}")
    done = snakemake("--dry-run", "--printshellcmds", "--configfile", TINY, "--config", *grid, directory=workdir)
    assert done.returncode == 0, done.stdout
    commands = re.findall(r"python -m scripts\.(\w+) (.*)", done.stdout)
    jobs = Counter(name for name, _ in commands)
    assert (jobs["download_dataset"], jobs["prepare_dataset"], jobs["train_model"]) == (3, 2, 2 * 5)
    prepared = sorted(options for name, options in commands if name == "prepare_dataset")
    images, lists = "img_align_celeba", ("list_attr_celeba.txt", "list_eval_partition.txt")
    for options, files in (
        (prepared[0], [f"resources/{name}" for name in (f"{images}.zip", *lists)]),
        (prepared[1], [f"'my faces/{name}'" for name in (images, *lists)]),
    ):
        assert f"--archives {' '.join(files)} " in options
        assert "folder" not in options
    (tables,) = (options for name, options in commands if name == "aggregate_results")
    assert "--validation results/tiny/tables/validation.csv" in tables


def test_a_base_is_trained_and_evaluated_though_the_grid_lacks_it(workdir):
    jobs = planned("--configfile", TINY, directory=workdir)
    # the ResNet teacher that `from_resnet` stands on, beside the teacher and the three students of the grids
    assert (jobs["train_model"], jobs["evaluate_model"]) == (5, 5)


def test_a_chain_of_bases_is_trained_in_its_order(workdir):
    students = "students={first: {kind: mfd}, second: {kind: mfd, base: first}}"
    grid = ("methods=[second]", "ablations=[]", "paper_method=null")
    given = ("--configfile", TINY, "--config", students, *grid)
    target = "results/tiny/models/digits_s/shufflenet/second/seed0/weights.safetensors"
    done = snakemake("--dry-run", "--printshellcmds", target, *given, directory=workdir)
    assert jobs_of(done.stdout) == {"prepare_dataset": 1, "train_model": 3}
    commands = re.findall(r"python -m scripts\.train_model .*", done.stdout)
    bases = [re.findall(r"--base \S*/(\w+)/seed0/weights\.safetensors", command) for command in commands]
    assert bases == [[], ["teacher"], ["first"]]
    assert ["--base-network" in command for command in commands] == [False, True, True]


def write_metrics(workdir, model):
    for ending in (".json", ".parquet"):
        path = workdir / f"results/tiny/metrics/digits_s/{model}/seed0{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_teacher_from_outside_is_read_from_its_file_which_is_an_input(workdir):
    """It is of another network than the students, whose base it is; and nothing in the file's name is a command."""
    name = "a teacher's $(touch PWN).pth"
    teacher = f'teacher={{checkpoint: "{name}", architecture: resnet}}'
    given = ("--configfile", TINY, "--config", teacher, "methods=[mfd]", "ablations=[]", "paper_method=null")
    # the study has begun with another model
    write_metrics(workdir, "shufflenet/mfd")
    missing = snakemake("--dry-run", *given, directory=workdir)
    (error,) = [text for text in missing.stdout.splitlines() if not text.startswith(NOTES)]
    assert error.startswith(f"error: config: teacher.checkpoint is {name}, and there is no such file; give the path of")
    # what was computed elsewhere does without the file
    write_metrics(workdir, "resnet/teacher")
    assert planned("results/tiny/tables/runs.csv", *given, directory=workdir) == {"aggregate_results": 1}
    # but not where the model is of other settings: the students would be made anew, and it would stay
    record = workdir / "results/tiny/models/digits_s/resnet/teacher/seed0/training.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"data": {"settings": {"image_size": 32}}}))
    stale = snakemake("--dry-run", "results/tiny/tables/runs.csv", *given, directory=workdir)
    why = "no such file, and what was read from it is of other settings or images;"
    assert error.replace("no such file;", why) in stale.stdout.splitlines()
    record.write_text(json.dumps({"inputs": {"checkpoint": "0" * 64}}))
    (workdir / name).touch()
    target = "results/tiny/models/digits_s/shufflenet/mfd/seed0/weights.safetensors"
    done = snakemake("--dry-run", "--printshellcmds", target, *given, directory=workdir)
    assert jobs_of(done.stdout) == {"prepare_dataset": 1, "train_model": 2}
    assert f"in all: another content of {name};" in done.stdout
    inputs = [line for line in done.stdout.splitlines() if line.strip().startswith("input:") and name in line]
    assert len(inputs) == 1
    teacher, student = re.findall(r"python -m scripts\.train_model .*", done.stdout)
    options = shlex.split(teacher)
    assert options[options.index("--checkpoint") + 1] == name
    assert '"kind": "imported"' in teacher
    assert "--base results/tiny/models/digits_s/resnet/teacher/seed0/weights.safetensors" in student
    assert "--checkpoint" not in student


def test_methods_are_compared_for_the_networks_that_have_several(workdir):
    """An imported model is of one network alone. The data set has a name as figures of sweeps have."""
    (workdir / "model.pth").touch()
    given = [
        "students={earlier: {kind: imported, checkpoint: model.pth, architecture: resnet}}",
        "data={sets: {digits_sweep: {kind: digits_s, image_size: 16}}}",
        *("architectures=[shufflenet, resnet]", "methods=[mfd, earlier]", "datasets=[digits_sweep]"),
        *("example_images=[]", "ablations=[]", "paper_method=null", "paper_values=null"),
    ]
    jobs = planned("--configfile", TINY, "--config", *given, directory=workdir)
    drawn = ("plot_comparison", "plot_slopes", "rank_methods", "plot_tradeoff", "plot_cells")
    assert [jobs.get(rule) for rule in drawn] == [4, 1, 1, 1, 1]


# what a shell and Snakemake would each do something with, in the names of files without braces
SHELL_TEXT = """a"b'c\\ $(touch pwned) `touch pwned` & touch pwned; # * ~"""
ANY_TEXT = f"{SHELL_TEXT} {{x}} {{dataset}} {{config[study]}} {{ }}\n touch pwned"
# in the place of the programs that a command of a rule calls: what each is told, with a NUL behind it
TELLING = """
told() { printf '%s\\0' "$@" >> told; }
job() { shift 2; while [ "$1" != -- ]; do told "$1"; shift; done; shift; "$@"; }
logged() { shift; "$@"; }
python() { told "$@"; }
"""


def test_no_text_in_the_configuration_is_read_by_a_shell(workdir):
    """Every setting that holds text other than a name, in the commands of a plan's rules, as bash runs them."""
    names = {name: f"{SHELL_TEXT} {name}" for name in ("labels", "published", "values.csv", "weights.pth", "own")}
    (workdir / names["labels"]).write_text("a table")
    (workdir / "images" / SHELL_TEXT).mkdir(parents=True)
    (workdir / names["weights.pth"]).touch()
    (workdir / names["values.csv"]).write_bytes((workdir / "config" / "paper_values.csv").read_bytes())
    (workdir / names["own"]).touch()
    (workdir / names["published"] / "tables").mkdir(parents=True)
    (workdir / names["published"] / "tables" / "summary.csv").touch()
    columns = {name: f"{ANY_TEXT} {name}" for name in ("image", "label", "split", "subject")}
    images = {"kind": "folder", "images": f"images/{SHELL_TEXT}", "labels": names["labels"], "group": [ANY_TEXT]}
    teacher = {"checkpoint": names["weights.pth"], "classes": [ANY_TEXT, "b"], "architecture": "resnet"}
    config = {
        "study": "tiny",
        "datasets": ["mine", "faces"],
        "data": {
            "mirror": ANY_TEXT,
            "sets": {
                "mine": images | columns | {"bins": {ANY_TEXT: [1]}},
                "faces": {"kind": "utkface", "own_copy": names["own"]},
            },
        },
        "networks": {"shufflenet": {"kind": "shufflenet_v2_x1_0", "weights": names["weights.pth"]}},
        "teacher": teacher,
        "paper_values": names["values.csv"],
        "published": names["published"],
        "export": {"intended_use": ANY_TEXT, "data_terms": ANY_TEXT},
    }
    (workdir / "evil.json").write_text(json.dumps(config))
    given = ("all", "export", "--configfile", TINY, workdir / "evil.json")
    done = snakemake("--dry-run", "--printshellcmds", *given, directory=workdir)
    assert done.returncode == 0, done.stdout
    commands = re.findall(r"^Shell command: (?!None$)(.*?)\n\n\[", done.stdout, flags=re.MULTILINE | re.DOTALL)
    assert len(commands) > 20
    for log in re.findall(r"^ +log: (.*)$", done.stdout, flags=re.MULTILINE):
        (workdir / log).parent.mkdir(parents=True, exist_ok=True)
    for command in commands:
        bash = subprocess.run(["bash", "-euc", TELLING + command], cwd=workdir, capture_output=True, text=True)
        assert bash.returncode == 0, (command, bash.stderr)
    assert not list(workdir.rglob("pwned"))
    told = (workdir / "told").read_text(encoding="utf-8").split("\0")
    # whole as options, or within the JSON of one
    texts = told + [text for option in told if option[:1] in ("{", "[") for text in all_texts(json.loads(option))]
    expected = {*names.values(), *columns.values(), f"images/{SHELL_TEXT}", ANY_TEXT}
    assert expected <= set(texts)


def all_texts(value):
    """Every text that a value of JSON holds."""
    if isinstance(value, dict):
        return [*value, *all_texts(list(value.values()))]
    return [text for one in value for text in all_texts(one)] if isinstance(value, list) else [value]


def test_a_method_without_a_base_trains_alone(workdir):
    target = "results/tiny/models/digits_s/shufflenet/balanced/seed0/weights.safetensors"
    jobs = planned(target, "--configfile", TINY, directory=workdir)
    assert jobs == {"prepare_dataset": 1, "train_model": 1}


@pytest.fixture
def published(workdir):
    """A working directory that has the published study."""
    summary = workdir / "results" / "paper" / "tables" / "summary.csv"
    summary.parent.mkdir(parents=True)
    summary.write_text("seeds\n0\n")
    return workdir


def test_the_results_are_set_beside_the_published_ones_and_elsewhere(published):
    done = snakemake("--dry-run", "--printshellcmds", directory=published)
    assert jobs_of(done.stdout) == PAPER | {"compare_with_published": 1}
    outputs = re.findall(r"^ +output: (.*)$", done.stdout, flags=re.MULTILINE)
    assert outputs
    assert not [output for output in outputs if "results/paper/" in output]
    assert re.search(r"scripts\.compare_with_published .*--published results/paper ", done.stdout)


def test_the_published_study_is_not_compared_with_itself(published):
    jobs = planned("--config", "study=paper", directory=published)
    assert "compare_with_published" not in jobs


def test_the_entry_of_the_workflow_catalog_is_the_same_workflow(workdir):
    assert planned(snakefile="workflow/Snakefile", directory=workdir) == PAPER


@pytest.mark.parametrize(
    ("device", "slots", "present", "allowed", "gpu", "at_a_time"),
    [
        ("auto", 2, 4, None, 1, 8),
        ("auto", 1, 4, "1,3", 1, 2),
        ("auto", 1, 0, None, 0, 1),
        ("cpu", 1, 1, None, 0, 1),
        ("cuda", 1, 0, None, 1, 1),
    ],
)
def test_trainings_on_gpus_are_as_many_at_a_time_as_there_are_slots(
    workdir, monkeypatch, device, slots, present, allowed, gpu, at_a_time
):
    fake_gpus(workdir / "bin", present)
    if allowed:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    # where a rule has a message a dry run does not print its resources
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    given = ("--config", f"training={{device: {device}, gpu_slots: {slots}}}")
    done = snakemake("--dry-run", *given, directory=workdir, path=workdir / "bin", snakefile=probe)
    assert re.findall(r'Resource\("gpu", (\d)\)', done.stdout) == [str(gpu), str(at_a_time)], done.stdout


def test_a_gpu_that_torch_cannot_use_is_told_once_and_trainings_take_the_cores(workdir, monkeypatch):
    fake_gpus(workdir / "bin", 1, torch_can_use_them=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    done = snakemake("--dry-run", directory=workdir, path=workdir / "bin", snakefile=probe)
    assert re.findall(r'Resource\("gpu", (\d)\)', done.stdout) == ["0", "1"], done.stdout
    assert done.stdout.count("warning: there is a GPU, but torch cannot use it") == 1
    # else each would wait until the others have done with it
    assert "GPUs of jobs: \n" in done.stdout


@pytest.mark.parametrize(("given", "memory"), [((), 3000), (("--configfile", ROOT / "config/authors.yaml"), 12000)])
def test_a_training_asks_for_the_memory_of_the_configuration_and_a_limit_that_is_given_goes_before(
    workdir, given, memory
):
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    done = snakemake("--dry-run", "--resources", "gpu=3", *given, directory=workdir, snakefile=probe)
    assert str([memory, 2 * memory]) in done.stdout
    # one training may always run
    assert f'Resource("mem_mb", {max(memory_mb(), memory)})' in done.stdout
    assert re.findall(r'Resource\("gpu", (\d)\)', done.stdout)[-1] == "3", done.stdout


def test_a_job_on_a_cluster_gets_the_memory_that_it_asks_for_whatever_the_login_node_has(workdir):
    probe = workdir / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    done = snakemake("--dry-run", "--cores", 1, "--jobs", 9, directory=workdir, snakefile=probe)
    assert done.returncode == 0
    assert 'all trainings together: Resource("mem_mb"' not in done.stdout


@pytest.mark.parametrize(("method", "compared"), [("mine", [" --method mine "]), ("null", [])])
def test_the_student_beside_the_papers_is_the_one_that_is_named(workdir, method, compared):
    students = "students={mine: {kind: mfd}, plain: {kind: erm}}"
    given = ("--config", students, "methods=[plain, mine]", f"paper_method={method}")
    done = snakemake("--dry-run", "--printshellcmds", *given, directory=workdir)
    commands = re.findall(r"python -m scripts\.(?:compare_with_paper|plot_comparison) .*", done.stdout)
    assert len(commands) == 5
    assert [re.findall(r" --method \w+ ", command) for command in commands] == [compared] * 5


@pytest.mark.parametrize("own", [True, False])
def test_the_papers_sentences_are_judged_beside_its_own_numbers_alone(workdir, own):
    values = (workdir / "config" / "paper_values.csv").read_text(encoding="utf-8")
    (workdir / "values.csv").write_text(values if own else values.replace("0.735", "0.7"), encoding="utf-8")
    done = snakemake("--dry-run", "--printshellcmds", "--config", "paper_values=values.csv", directory=workdir)
    (command,) = re.findall(r"python -m scripts\.compare_with_paper .*", done.stdout)
    assert ("--conclusions results/reproduction/tables/paper_conclusions.csv" in command) == own


def test_papers_numbers_that_are_not_understood_are_refused_in_one_line(workdir):
    path = workdir / "config" / "paper_values.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.735", "high", 1), encoding="utf-8")
    done = snakemake("--dry-run", directory=workdir)
    assert done.returncode != 0
    (error,) = [text for text in done.stdout.splitlines() if not text.startswith(NOTES)]
    assert error.startswith("error: config/paper_values.csv: row 2: value is ")


@pytest.mark.parametrize(
    ("key", "path", "what"),
    [
        ("paper_values", "no.csv", "and there is no such file; give a CSV like config/paper_values.csv, or null"),
        # the system refuses to look at the table in it, as it does where a folder may not be entered
        ("published", "a/" * 2040, "which has no tables/summary.csv; name a study's folder"),
    ],
    ids=["paper_values", "published"],
)
def test_numbers_to_compare_with_that_are_not_there_are_one_line(workdir, key, path, what):
    done = snakemake("--dry-run", "--config", f"{key}={path}", directory=workdir)
    assert done.returncode != 0
    notes = [text for text in done.stdout.splitlines() if not text.startswith(NOTES)]
    assert notes == [f"error: config: {key} is {path}, {what}"]


def test_the_next_major_version_of_snakemake_is_refused(workdir):
    changed = "import snakemake; snakemake.__version__ = '10.0.0'; from snakemake.cli import main; main()"
    done = snakemake("--dry-run", directory=workdir, program=("-c", changed))
    assert done.returncode != 0
    assert "error: Snakemake 10.0.0 is not known to work here; install one below 10" in done.stdout.splitlines()


@pytest.fixture(scope="module")
def one_job(tmp_path_factory):
    """What a run of one job leaves and prints, with text that a shell would run in what all jobs are given.

    A dry run shows nothing of this: the folder of the checkout, and the mirror.
    """
    project = copy_project(tmp_path_factory.mktemp("checkout") / f"{SHELL_TEXT.replace('/', '')}\n touch pwned")
    directory = copy_configuration(tmp_path_factory.mktemp("figure"))
    figure = "results/reproduction/figures/fig1_architecture.png"
    given = ("--cores=1", figure, "--config", f"data={json.dumps({'mirror': ANY_TEXT})}")
    done = snakemake(*given, directory=directory, project=project, program=("-c", TOLD))
    assert done.returncode == 0, done.stdout
    assert (directory / figure).exists()
    return project, directory, done.stdout


def test_no_text_that_all_jobs_are_given_is_read_by_a_shell(one_job):
    *folders, _ = one_job
    assert not [path for folder in folders for path in folder.parent.rglob("pwned")]


@pytest.mark.parametrize("mark", ["{", ":"])
def test_a_checkout_in_a_folder_of_a_name_that_cannot_work_is_refused_in_one_line(workdir, mark):
    project = workdir / f"a{mark}b"
    project.mkdir()
    for name in ("Snakefile", "workflow", "fairdistill", "config"):
        (project / name).symlink_to(ROOT / name)
    done = snakemake("--dry-run", project=project, directory=workdir)
    (line,) = [text for text in done.stdout.splitlines() if not text.startswith(NOTES)]
    assert line.startswith(f"error: {str(project)!r}: this folder has a {mark!r} in its name")


def test_rules_without_the_code_of_their_jobs_are_refused_in_one_line(workdir):
    project = workdir / "fetched"
    project.mkdir()
    for name in ("Snakefile", "workflow"):
        (project / name).symlink_to(ROOT / name)
    done = snakemake("--dry-run", project=project, snakefile="workflow/Snakefile", directory=workdir)
    (line,) = [text for text in done.stdout.splitlines() if not text.startswith(NOTES)]
    assert line.startswith(f"error: {project}: the package fairdistill is not beside the Snakefile")


def test_garbage_is_collected_where_jobs_run_but_not_while_they_are_planned(papers_plan, one_job):
    assert "collects: False" in papers_plan.splitlines()
    *_, printed = one_job
    assert "collects: True" in printed.splitlines()


def test_private_parts_of_snakemake_are_used_in_one_file_alone():
    files = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    private = re.compile(r"^[^#]*\b(workflow\.|snakemake\.logging|DefaultStreamHandler)", flags=re.MULTILINE)
    users = {path.name for path in files if private.search(path.read_text(encoding="utf-8"))}
    assert users == {"snakemake_internals.smk"}


def test_lint(published):
    done = snakemake("--lint", directory=published)
    assert "in a good condition" in done.stdout, done.stdout


def test_a_mistake_in_the_config_is_one_line(workdir):
    """The lines themselves are the affair of tests/unit/test_config.py."""
    done = snakemake("--dry-run", "--config", "data={sets: {cifar10s: {skew: 1.2}}}", directory=workdir)
    assert done.returncode != 0
    assert [text for text in done.stdout.splitlines() if not text.startswith(NOTES)] == [
        'error: config: data.sets.cifar10s.skew is "1.2"; it must be below 1'
    ]


def test_results_of_the_future_are_refused_in_one_line_which_says_how_to_mend_them(workdir):
    metrics = workdir / "results/reproduction/metrics/utkface/resnet/mfd/seed0.json"
    metrics.parent.mkdir(parents=True)
    metrics.touch()
    tomorrow = time.time() + 86400
    os.utime(metrics, (tomorrow, tomorrow))
    done = snakemake("--dry-run", directory=workdir)
    assert done.returncode != 0
    (line,) = (text for text in done.stdout.splitlines() if not text.startswith(NOTES))
    name = metrics.relative_to(workdir)
    assert line.startswith(f"error: {name}: its time is in the future (files like it in results/reproduction: 1), ")
    subprocess.run(["bash", "-c", line.partition("or type: ")[2]], cwd=workdir, check=True)
    assert snakemake("--dry-run", directory=workdir).returncode == 0


# with a rule of the user's, of whose wildcards the grid knows nothing
IN_THE_WAY = """import sys; from pathlib import Path
rule mine:
    output: "out/{{sample}}/x.txt"
include: "{root}/Snakefile"
for place in {places}:
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    print("in the way:", *files_in_the_way(list(files_below(Path(RESULTS)))))
    path.unlink()
"""


def test_a_file_in_the_place_of_any_folder_is_found_before_snakemake_comes_upon_it(workdir):
    of_models = ["", "/utkface", "/utkface/resnet", "/utkface/resnet/mfd"]
    parts = [f"{part}{name}" for part in ("models", "metrics") for name in of_models]
    parts += ["data", "data/utkface", "tables", "models/utkface/resnet/mfd/seed4"]
    study = [f"results/reproduction/{part}" for part in parts]
    logs = ["logs/reproduction", "logs/reproduction/train_model", "logs/reproduction/plot_comparison"]
    notes = [f".snakemake/{name}" for name in ("own_files", "trainings", *(f"failed/{log}" for log in logs))]
    places = ["results", *study, "logs", "logs/download_dataset", *logs, "resources", *notes]
    # and some that no folder is to be at
    free = [f"results/reproduction/models/{name}" for name in ("notes.txt", "utkface/resnet/mfd/seed0.lock")]
    probe = workdir / "probe.smk"
    probe.write_text(IN_THE_WAY.format(root=ROOT, places=[*places, *free]))
    done = snakemake("--dry-run", directory=workdir, snakefile=probe)
    assert re.findall(r"in the way: ?(.*)", done.stdout) == places + [""] * len(free), done.stdout


def test_a_file_in_the_place_of_a_folder_is_one_line(workdir):
    (workdir / ".snakemake").touch()
    done = snakemake("--dry-run", directory=workdir)
    assert done.returncode != 0
    assert [text for text in done.stdout.splitlines() if not text.startswith(NOTES)] == [
        "error: .snakemake: results, logs or notes go into a folder of this name, and it is none; move it, or remove it"
    ]


def test_a_key_that_comes_twice_is_one_line(workdir):
    """Of the files, which ones are found: tests/unit/test_config.py has what is found in them."""
    (workdir / "twice.yaml").write_text("seeds: [0]\nstudy: a\nseeds: [1]\n")
    done = snakemake("--dry-run", "--configfile", workdir / "twice.yaml", directory=workdir)
    (line,) = (text for text in done.stdout.splitlines() if not text.startswith(NOTES))
    assert line.endswith("twice.yaml: line 3: the key 'seeds' comes twice, first in line 1; keep one of them")


def test_a_wrong_key_that_came_by_merging_is_said_to_be_of_config_yaml(workdir):
    done = snakemake("--dry-run", "--config", "students={mfd: {kind: kd}}", directory=workdir)
    (line,) = (text for text in done.stdout.splitlines() if not text.startswith(NOTES))
    assert line.startswith("error: config: students.mfd has the unknown key 'degree'; ")
    assert "it stands in config/config.yaml" in line

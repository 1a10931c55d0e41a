"""A study: the grid of models, and the names that it is made of."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby, product
from typing import Annotated, NamedTuple, Self

from pydantic import Field, PrivateAttr

from fairdistill.settings.base import AtLeastOne, Flag, Name, OrNull, OwnPath, Settings, Source
from fairdistill.settings.data import AnyDataSet, Cifar10S, UTKFace, name_draw
from fairdistill.settings.export import Export
from fairdistill.settings.methods import (
    SAME,
    TEACHER,
    AnyMethod,
    BaseChoice,
    Erm,
    Imported,
    Method,
    Mfd,
    PostProcessing,
    Teacher,
)
from fairdistill.settings.names import ModelName, Role
from fairdistill.settings.networks import AnyNetwork, ResNet18, ShuffleNetV2
from fairdistill.settings.sweeps import Candidates, Line, Search, Sweep, Sweeps, as_text, is_number, lines_of
from fairdistill.settings.training import Seed, Training

Seeds = AtLeastOne[Seed]

# A page of bars of one network holds no more students.
MOST_STUDENTS = 42


class Data(Settings):
    """Where the archives come from, and how each data set is made from them."""

    mirror: Annotated[Source | None, OrNull] = Field(
        None,
        description="A folder or URL that holds the archives (`cifar-10-python.tar.gz`, `UTKFace.tar.gz`, the three "
        "files of CelebA), tried before the public addresses; in a folder the first two may be unpacked, or packed in "
        "another way. `null` uses the environment variable `FAIRDISTILL_MIRROR`, if it is set. No log shows a "
        "password in it.",
    )
    sets: dict[Name, AnyDataSet] = Field(
        {"cifar10s": Cifar10S(kind="cifar10s"), "utkface": UTKFace(kind="utkface")},
        description="The data sets by name, each a `kind` and its settings.",
    )


class Ablation(Settings):
    """A grid of models beside the main one; what it leaves out, or gives as `null`, is as in the main grid."""

    seeds: Annotated[Seeds | None, OrNull] = Field(
        None, description="The `seeds` of the study where they are left out, whatever `method_seeds` has."
    )
    datasets: Annotated[AtLeastOne[Name] | None, OrNull] = Field(None, description="Names from `data.sets`.")
    architectures: Annotated[AtLeastOne[Name] | None, OrNull] = Field(None, description="Names from `networks`.")
    methods: Annotated[AtLeastOne[Name] | None, OrNull] = Field(None, description="Names from `students`.")


class SweepFigure(NamedTuple):
    """What is drawn in the figure of a swept setting: the setting's name, and its lines."""

    setting: str
    lines: list[Line]


def models_in(grid: Mapping[str, Iterable[str]]) -> list[ModelName]:
    """Return the models of a grid, of which there is one for each of its data sets, seeds and folds."""
    names = product(grid["architecture"], grid["method"])
    return [ModelName(architecture=architecture, method=method) for architecture, method in names]


def _covered(model: ModelName, grid: Mapping[str, list], grids: Iterable[Mapping[str, list]]) -> bool:
    """Whether one of some grids has a model for all data sets and seeds of `grid`."""
    return any(
        model in models_in(other) and all(set(grid[name]) <= set(other[name]) for name in ("dataset", "seed"))
        for other in grids
    )


def name_folds(folds: Sequence[int]) -> list[str]:
    """Return what names each of a grid's folds in paths; nothing does where its data sets have one test split."""
    return [""] if list(folds) == [0] else [f"-fold{fold}" for fold in folds]


class Study(Settings):
    """Configuration of a study. Every key has a default: a configuration of no keys, `{}`, is the paper's grid."""

    study: Name = Field(
        "reproduction",
        description="The name of the study; its results go to `results/<study>/`. A study with other kinds of data "
        "sets than the paper's must be given a name.",
    )
    seeds: Seeds = Field(
        [0, 1, 2, 3, 4],
        description="The seeds: each decides the initial weights, the order of the images and which are flipped. The "
        "data sets depend on it only where their `per_seed` says so.",
    )
    datasets: AtLeastOne[Name] = Field(
        ["cifar10s", "utkface"],
        description="The data sets of the main grid, names from `data.sets`; or a kind of data set, which needs no "
        "entry there if its default settings are to be used.",
    )
    architectures: AtLeastOne[Name] = Field(
        ["resnet", "shufflenet"],
        description="The networks of the main grid, names from `networks`; or a kind of network, such as `resnet50`, "
        "which needs no entry there if its default settings are to be used.",
    )
    methods: AtLeastOne[Name] = Field(
        ["mfd"],
        description="The methods of the main grid, names from `students`; or a kind of method, such as `kd`, which "
        "needs no entry there if its default settings are to be used. Tables and figures show them in this order.",
    )
    method_seeds: dict[Name, Annotated[Seeds | None, OrNull]] = Field(
        {},
        description="The methods of the main grid, or sweeps, that are trained with some of the `seeds` alone, and "
        "with which, as in `{nst: [0]}`; `null` takes back what another file has. Teachers have all seeds, and a base "
        "has those of what stands on it as well. In `methods.md` two methods are compared by the seeds that both have, "
        "in `ablations.md` by those that all methods have, of which there has to be one.",
    )
    references: Annotated[AtLeastOne[Name] | None, OrNull] = Field(
        None,
        description="The methods, which may include `teacher`, that the page comparing all methods (`methods.md`) "
        "compares each method with; `null` takes those of `erm` and `mfd` that the grid has, or the teacher if it has "
        "neither.",
    )
    ablations: list[Ablation] = Field(
        [], description="Additional grids, for the table of what each part contributes (see below)."
    )
    data: Data = Field(Data(), description="The archives and the data sets.")
    networks: dict[Name, AnyNetwork] = Field(
        {"resnet": ResNet18(kind="resnet18"), "shufflenet": ShuffleNetV2(kind="shufflenet_v2_x1_0")},
        description="The networks by name, each a `kind` and its settings; default names that are not given remain. "
        "Figures 2 to 5 are numbered in this order.",
    )
    teacher: Teacher = Field(
        Erm(kind="erm"),
        description="How teachers are trained: the settings of `kind: erm`; or, for a single teacher that was trained "
        "elsewhere, its `checkpoint` and the other settings of `kind: imported`.",
    )
    students: dict[Name, AnyMethod] = Field(
        {"mfd": Mfd(kind="mfd")},
        description="The methods that students are trained with, by name, each a `kind` and its settings; default "
        "names that are not given remain.",
    )
    search: dict[Name, Search] = Field(
        {},
        description="How one model of a sweep is chosen, by the name of the sweep in `students` (see below).",
    )
    training: Training = Field(Training(), description="How every network is trained, whatever its method.")
    probe_features: Flag = Field(
        False,
        description="Whether the features of each model of the main grid are probed as well, for "
        "`tables/features.csv`: a two-sample test between the groups of each class, and consistency. It takes some "
        "seconds for each model, and needs its weights.",
    )
    example_images: list[Name] = Field(
        [],
        description="The data sets, names from `data.sets`, whose test images may be shown: those of the classes and "
        "groups in which a model is least accurate become a figure, which is also on the study's page. Name only data "
        "sets whose terms, and the people on the images, allow it: not CIFAR-10, UTKFace or CelebA if you publish the "
        "page.",
    )
    paper_values: Annotated[OwnPath | None, OrNull] = Field(
        None,
        description="A CSV file with the numbers of a paper, which are compared with the study's; `null` for none.",
    )
    paper_method: Annotated[Name | None, OrNull] = Field(
        None,
        description="The method in `students` that is compared with the paper's student, if the grid has it; `null` "
        "compares only the teachers.",
    )
    published: Annotated[OwnPath | None, OrNull] = Field(
        None,
        description="The folder of a study, such as `results/paper`, whose numbers are compared with this study's; "
        "`null` for none.",
    )
    export: Export = Field(Export(), description="What `snakemake export` writes (see below).")

    # the sweeps that were resolved when the configuration was read
    _sweeps: Sweeps = PrivateAttr({})

    def with_sweeps(self, sweeps: Sweeps) -> Self:
        """Return the study as one whose models are, in part, those of sweeps: see `fairdistill.settings.sweeps`."""
        study = self.model_copy()
        study._sweeps = sweeps
        return study

    def sweeps(self, names: str = "methods") -> dict[str, Sweep]:
        """The sweeps among the entries that `names`, a key of a grid, names; of each the models with their values."""
        return self._sweeps.get(names, {})

    @property
    def sweeps_of_columns(self) -> dict[str, dict[str, Sweep]]:
        """The sweeps of data sets, architectures and methods, by the column of a table of runs that names them."""
        columns = {"dataset": "datasets", "architecture": "architectures", "method": "methods"}
        return {column: self.sweeps(names) for column, names in columns.items()}

    @cached_property
    def grids(self) -> list[list[dict[str, list]]]:
        """The names of the models of each ablation and, last, of the main grid, by column of a table of runs.

        Each is a list of grids, one for each number of folds that its data sets have in turn, and for the seeds that
        its methods have in turn. Each of the lists has the teachers.
        """
        parts: list[Ablation | Study] = [*self.ablations, self]
        return [self._grids_of(part) for part in parts]

    @cached_property
    def exported(self) -> list[dict[str, list]]:
        """The names of the models to export, those of the study's that the configuration chooses, as grids."""
        chosen = self.export
        can_be = [name for name in self.methods if not self.method(name).draws_labels]
        wanted = {
            "dataset": chosen.datasets,
            "architecture": chosen.architectures,
            "method": chosen.methods or can_be or [TEACHER],
            "seed": chosen.seeds,
        }
        found = []
        for grid in self.all_grids if chosen.methods else self.main_grids:
            kept = {
                column: [name for name in grid[column] if names is None or name in names]
                for column, names in wanted.items()
            }
            if chosen.seeds is None:
                kept["seed"] = kept["seed"][:1]
            if all(kept.values()):
                found.append(grid | kept)
        return found

    def _grids_of(self, part: "Ablation | Study") -> list[dict[str, list]]:
        def named(key: str) -> list:
            return getattr(part, key) or getattr(self, key)

        return [
            {
                "dataset": names,
                "architecture": architectures,
                "method": list(names_of_seeds),
                "seed": list(seeds),
                "fold": list(range(folds)),
            }
            for folds, names in [
                (folds, list(names))
                for folds, names in groupby(named("datasets"), key=lambda name: self.data.sets[name].folds)
            ]
            for architectures, methods in self._products(named("architectures"), [TEACHER, *named("methods")])
            for seeds, names_of_seeds in groupby(
                methods, key=lambda name: self.seeds_of(name) if part is self else named("seeds")
            )
        ]

    def seeds_of(self, method: str) -> list[int]:
        """The seeds that a method of the main grid has there: its own, those of the sweep that it is of, or all."""
        sweeps = [entry for entry, models in self.sweeps().items() if method in models]
        own = [seeds for name in [method, *sweeps] if (seeds := self.method_seeds.get(name))]
        return own[0] if own else self.seeds

    def _products(self, architectures: list[str], methods: list[str]) -> list[tuple[list[str], list[str]]]:
        """The networks and methods of a grid: an imported model is of the network that its file holds, and no other."""
        elsewhere = {name: home for name in methods if (home := self.home(name)) and [home] != architectures}
        everywhere = [name for name in methods if name not in elsewhere]
        products = [(architectures, everywhere)] if everywhere else []
        return products + [([home], [name]) for name, home in elsewhere.items()]

    def with_bases(self, grid: dict[str, list], beside: Sequence[dict[str, list]] = ()) -> list[dict[str, list]]:
        """The grid, and grids of the models that those of it stand on, directly or not, that it and `beside` lack."""
        queue = sorted(models_in(grid), key=lambda model: (model.architecture, model.method))
        own = set(queue)
        missing: dict[ModelName, None] = {}
        while queue:
            base = self.base(queue.pop())
            if base is not None and base not in own and base not in missing and not _covered(base, grid, beside):
                missing[base] = None
                queue.append(base)
        return [grid, *({**grid, "architecture": [base.architecture], "method": [base.method]} for base in missing)]

    @cached_property
    def main_grids(self) -> list[dict[str, list]]:
        """The main grid with those of its bases: what the tables of the study are made from."""
        return [part for grid in self.grids[-1] for part in self.with_bases(grid, self.grids[-1])]

    @cached_property
    def all_grids(self) -> list[dict[str, list]]:
        """Every grid with those of its bases, the main one and its bases last."""
        return [part for grids in self.grids for grid in grids for part in self.with_bases(grid, grids)]

    @cached_property
    def students_of(self) -> dict[str, list[str]]:
        """The students of each network that the tables of the study have: those of the main grid, and their bases."""
        found: dict[str, dict[str, None]] = {}
        for model in (model for grid in self.main_grids for model in models_in(grid)):
            students = found.setdefault(model.architecture, {})
            if model.method != TEACHER:
                students[model.method] = None
        return {architecture: [*names] for architecture, names in found.items()}

    @property
    def compares_methods(self) -> bool:
        """Whether a network has several students, which are compared with each other."""
        return any(len(students) > 1 for students in self.students_of.values())

    @property
    def has_validation(self) -> bool:
        """Whether a data set of the main grid has a validation split."""
        return any(self.data.sets[name].has_validation for name in self.datasets)

    @property
    def searches(self) -> list[Candidates]:
        """What is searched: the models to choose from, and how."""
        return [Candidates(sweep=name, rule=rule, models=self.sweeps()[name]) for name, rule in self.search.items()]

    def draws(self, grids: Iterable[dict[str, list]]) -> list[tuple[str, str]]:
        """The data sets that the models of some grids are trained on: the name of each, and that of its draw.

        The latter is `name_draw`'s, empty for a data set that is the same for all seeds.
        """
        named = (
            (name, name_draw(self.data.sets[name].per_seed, seed))
            for grid in grids
            for name in grid["dataset"]
            for seed in grid["seed"]
        )
        return list(dict.fromkeys(named))

    def method(self, name: str) -> Method:
        """The settings of the method `name`: of the teacher, or of one of the students."""
        return self.teacher if name == TEACHER else self.students[name]

    def base(self, model: ModelName) -> ModelName | None:
        """The model, of the same data set and seed, that `model` stands on; None where it stands on none."""
        base = self.method(model.method).stands_on
        if base is None:
            return None
        named = self.home(base.method) if base.architecture == SAME else base.architecture
        return ModelName(architecture=named or model.architecture, method=base.method)

    def home(self, method: str) -> str | None:
        """The only network that there are models of the method `method` of; None where any network may have one."""
        settings = self.method(method)
        return settings.architecture if isinstance(settings, Imported) and settings.architecture != SAME else None

    def file_of(self, model: ModelName) -> str | None:
        """The path of the weights that `model` starts from, or that it is where it is imported; None for none."""
        method = self.method(model.method)
        if isinstance(method, Imported):
            return method.checkpoint
        # a method that trains nothing has the weights of its base
        return None if isinstance(method, PostProcessing) else self.networks[model.architecture].weights

    @property
    def files(self) -> dict[str, str]:
        """The paths of all files of weights that the configuration names, by the keys that name them."""
        methods = {"teacher": self.teacher, **{f"students.{name}": method for name, method in self.students.items()}}
        checkpoints = {f"{key}.checkpoint": getattr(method, "checkpoint", None) for key, method in methods.items()}
        weights = {f"networks.{name}.weights": network.weights for name, network in self.networks.items()}
        return {key: path for key, path in {**checkpoints, **weights}.items() if path}

    @property
    def reference_methods(self) -> list[str]:
        """The methods that each method of the main grid is compared with."""
        return self.references or [name for name in ("erm", "mfd") if name in self.methods] or [TEACHER]

    def role(self, method: str) -> Role:
        """The role of the models of a method."""
        return "teacher" if method == TEACHER else "student"

    @cached_property
    def sweep_figures(self) -> dict[str, SweepFigure]:
        """The figures of the swept settings of the main grid's methods, by name.

        There is one of each setting. Where methods of several kinds are swept over settings of one name, which may mean
        different things, each kind has its own, whose name begins with the kind.
        """
        found: dict[str, dict[str, list[Line]]] = {}
        for entry, sweep in self.sweeps().items():
            shown = {name: values for name, values in sweep.items() if name in self.methods}
            for setting in next(iter(sweep.values())):
                for label, values in lines_of(entry, shown, setting).items():
                    if len(values) > 1:
                        numeric = all(map(is_number, values.values()))
                        texts = {name: value if numeric else as_text(value) for name, value in values.items()}
                        line = Line(label=label, values=texts, base=self._common_base(values))
                        kind = self.method(next(iter(values))).kind
                        found.setdefault(setting, {}).setdefault(kind, []).append(line)
        return {
            setting if len(of_kinds) == 1 else f"{kind}-{setting}": SweepFigure(setting, lines)
            for setting, of_kinds in found.items()
            for kind, lines in of_kinds.items()
        }

    def _common_base(self, methods: Iterable[str]) -> BaseChoice:
        """The model that all of some methods stand on; the teacher where they stand on none, or on several."""
        bases = [self.method(name).stands_on for name in methods]
        common = bases[0] if bases[0] and all(base == bases[0] for base in bases) else BaseChoice()
        home = self.home(common.method)
        return BaseChoice(method=common.method, architecture=home) if home else common

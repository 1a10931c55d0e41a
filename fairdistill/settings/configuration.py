"""A whole configuration: filled in with the defaults, and checked for what no setting shows by itself."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from fairdistill.runtime.errors import UserError
from fairdistill.settings.base import NoEffect, Settings, names_of_kinds, settings_of_kind
from fairdistill.settings.data import AnyDataSet
from fairdistill.settings.methods import SAME, TEACHER, AnyMethod, Imported, LayerDistillation, PostProcessing
from fairdistill.settings.names import ModelName
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import Keys, UnreadableSettings, choice, read_settings, shortened, suggestion
from fairdistill.settings.study import Ablation, Study, models_in
from fairdistill.settings.sweeps import SECTIONS, Sweep, Sweeps, as_text, expand

# what a study is compared with: config/config.yaml has the paper, and the published study of the paper's grid
# (the values of a paper and the method that is compared with them belong together)
OF_THE_PAPER = (("paper_values", "paper_method"), ("published",))
# what the entries of a section are, each of which has a name of the user's and a `kind`, and the key of the grids that
# names them
KINDS = {
    "data.sets": ("data set", AnyDataSet, "datasets"),
    "networks": ("network", AnyNetwork, "architectures"),
    "students": ("method", AnyMethod, "methods"),
}
BENCHMARKS = "bench"  # results/bench has their tables, and no study's


def complete(config: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Study:
    """Check a configuration, and fill in the defaults.

    Text is read as a number, truth value or null where one is wanted: YAML takes `1e-3` for text, and Snakemake's
    `--config` gives every value inside a list or a mapping as text.

    Parameters
    ----------
    config
        The whole configuration; it is left as it is.
    given
        The part of it that the user laid over config/config.yaml, where that is known. With it, a study of none of the
        paper's data sets is not compared with the paper unless the user says so, other data than the paper's need a
        `study` in it, and the error says where an unknown key came from config/config.yaml by merging, and not from
        the user.

    Raises
    ------
    UserError
        One line that names the first key that is wrong.
    """
    single: object = config
    sweeps: Sweeps = {}
    # whatever else the file holds is named below
    if isinstance(config, Mapping):
        defaults = Study().to_json()
        if given is not None:
            config = _without_the_paper(config, given, defaults)
        single, sweeps = expand(_with_named_defaults(config, defaults), defaults)
    try:
        study = read_settings(Study, single, where="config").with_sweeps(sweeps)
    except UnreadableSettings as error:
        raise UserError(f"{error}{_origin(error.unknown, given)}") from None
    _check_paths(study)
    _check_braces(study)
    _check_names(study)
    _check_method_seeds(study)
    _check_imported(study)
    _check_bases(study)
    _check_layers(study)
    _check_sizes(study)
    _check_epochs(study)
    _check_validation(study)
    _check_search(study)
    _check_export(study)
    _check_effects(study)
    _check_study_name(study, given)
    return study


def _with_named_defaults(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the networks, students and data sets whose names it does not give.

    Those of the defaults, and a kind with its default settings where a grid names the kind itself.
    """
    config = dict(config)
    for section in ("networks", "students"):
        if isinstance(given := config.get(section, {}), Mapping):
            config[section] = {**defaults[section], **_named_kinds(config, section, defaults[section]), **given}
    data = config.get("data", {})
    if isinstance(data, Mapping) and isinstance(given := data.get("sets", {}), Mapping):
        of_defaults = defaults["data"]["sets"]
        config["data"] = {**data, "sets": {**of_defaults, **_named_kinds(config, "data.sets", of_defaults), **given}}
    return config


def _named_kinds(config: Mapping[str, Any], section: str, defined: Collection[str]) -> dict[str, dict]:
    """An entry for each kind that a grid names and that is no name in `defined`, whatever else the grids hold."""
    _, union, key = KINDS[section]
    ablations = config.get("ablations")
    grids = [config, *(ablations if isinstance(ablations, list) else [])]
    lists = [grid.get(key) for grid in grids if isinstance(grid, Mapping)]
    names = [name for found in lists if isinstance(found, list) for name in found if isinstance(name, str)]
    return {name: {"kind": name} for name in names if name not in defined and settings_of_kind(union, name)}


def _without_the_paper(
    config: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The configuration, not compared with the paper where config/config.yaml asks for it and no data set is its."""
    datasets = config.get("datasets")
    if not isinstance(datasets, list) or any(name in datasets for name in defaults["datasets"]):
        return config
    left = [keys for keys in OF_THE_PAPER if not given.keys() & keys]
    return {**config, **{key: defaults[key] for keys in left for key in keys}}


def _origin(path: Keys, given: Mapping[str, Any] | None) -> str:
    """Say so where an unknown key came by merging: the user gave a part of the mapping that holds it, but not it."""
    if given is None or len(path) < 2:
        return ""
    *parents, key = path
    part: Any = given
    for parent in parents:
        part = part.get(parent) if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or key in part:
        return ""
    return (
        f" ({shortened(repr(key))} is not yours: it stands in config/config.yaml, and mappings are merged; "
        f"give your entry another name than {parents[-1]!r})"
    )


def _check_paths(study: Study) -> None:
    """A data set of the user's own files says where they are."""
    for name, settings in study.data.sets.items():
        for key in settings.settings_of_paths:
            if getattr(settings, key) is None:
                raise UnreadableSettings("config", ("data", "sets", name), f"lacks the key {key!r}")


def _check_braces(study: Study) -> None:
    """Files that are inputs of rules are of names that Snakemake can take."""
    files = study.files | {"paper_values": study.paper_values, "published": study.published}
    for key, file in files.items():
        if file and set("{}") & set(file):
            what = "has braces, which Snakemake takes for a wildcard; give the file, or its folder, another name"
            raise UnreadableSettings("config", tuple(key.split(".")), f"is {file!r}, which {what}")


def _check_names(study: Study) -> None:
    """The grids, the bases and the paper's method name only what is defined, and nothing takes a reserved name."""
    for section, defined, reserved in (("students", study.students, TEACHER), ("networks", study.networks, SAME)):
        if reserved in defined:
            what = f"holds the name {reserved!r}, which is reserved; choose another"
            raise UnreadableSettings("config", (section,), what)
    sections: list[tuple[Keys, Collection[str]]] = [(("students",), study.students), (("networks",), study.networks)]
    for path, names in [*sections, (("data", "sets"), study.data.sets)]:
        alike: dict[str, str] = {}
        for name in names:
            first = alike.setdefault(name.lower().translate({ord("-"): None, ord("_"): None}), name)
            if first != name:
                # they could share a folder, where the file system ignores case, and a label in tables and figures
                raise UnreadableSettings("config", path, f"holds {first!r} and {name!r}, which are too much alike")
    # their folders are one where the file system ignores case
    if study.study.lower() == BENCHMARKS:
        what = f"is {study.study!r}, where benchmarks are kept; choose another"
        raise UnreadableSettings("config", ("study",), what)
    grids: list[tuple[Keys, Study | Ablation]] = [((), study)]
    grids += [(("ablations", number), ablation) for number, ablation in enumerate(study.ablations)]
    for where, grid in grids:
        for name in grid.datasets or []:
            _check_name((*where, "datasets"), name, "data.sets", study.data.sets)
        for name in grid.architectures or []:
            _check_name((*where, "architectures"), name, "networks", study.networks)
        for name in grid.methods or []:
            _check_name((*where, "methods"), name, "students", study.students)
    joined: dict[str, tuple[str, str]] = {}
    for pair in product(study.datasets, study.architectures):
        other = joined.setdefault("_".join(pair), pair)
        if other != pair:
            what = f"has {pair[0]!r}, whose figures with {pair[1]!r} would be called as those of {other[0]!r} with "
            raise UnreadableSettings("config", ("datasets",), f"{what}{other[1]!r}; rename one of the four")
    for name in study.example_images:
        _check_name(("example_images",), name, "data.sets", study.data.sets)
    for name in study.references or []:
        if name not in (TEACHER, *study.methods):
            what = f"names {name!r}, which the main grid lacks (methods); {choice(name, [TEACHER, *study.methods])}"
            raise UnreadableSettings("config", ("references",), what)
    for name, method in study.students.items():
        if base := method.stands_on:
            where = ("students", name, "base")
            _check_single(where, base.method, study.sweeps())
            _check_single((*where, "architecture"), base.architecture, study.sweeps("architectures"))
            _check_name(where, base.method, "students", [TEACHER, *study.students])
            _check_name((*where, "architecture"), base.architecture, "networks", [SAME, *study.networks])
    if study.paper_method is not None:
        _check_single(("paper_method",), study.paper_method, study.sweeps())
        _check_name(("paper_method",), study.paper_method, "students", study.students)


def _check_method_seeds(study: Study) -> None:
    """Only methods of the main grid, or sweeps of it, have seeds of their own, and these are some of the grid's."""
    sweeps = [entry for entry, models in study.sweeps().items() if set(models) & set(study.methods)]
    shared = [seed for seed in study.seeds if all(seed in study.seeds_of(name) for name in study.methods)]
    for name, seeds in study.method_seeds.items():
        if seeds is None:
            continue
        if name not in (known := [*study.methods, *sweeps]):
            what = f"names {name!r}, which the main grid lacks (methods); {choice(name, known)} (null takes it back)"
            if name == TEACHER:
                what = "names the teacher, which has all seeds; leave it out"
            raise UnreadableSettings("config", ("method_seeds",), what)
        if unknown := [seed for seed in seeds if seed not in study.seeds]:
            what = f"has {unknown[0]}, which seeds lacks; add it there, leave it out, or give {name!r} null"
            raise UnreadableSettings("config", ("method_seeds", name), what)
        if not shared:
            what = f"is {seeds}, but there is no seed that all methods have, by which they could be compared; add one"
            raise UnreadableSettings("config", ("method_seeds", name), what)
        for sweep in study.search:
            if name == sweep or name in study.sweeps().get(sweep, {}):
                what = f"is given, but search.{sweep} compares models and their base over the same seeds; leave it out"
                raise UnreadableSettings("config", ("method_seeds", name), what)


def _check_name(path: Keys, name: str, section: str, defined: Collection[str]) -> None:
    if name in defined:
        return
    noun, union, key = KINDS[section]
    # people write the names of networks in capitals
    kind, hint = name.lower(), choice(name, defined)
    if settings_of_kind(union, kind):
        hint = f"{kind!r} is a kind of {noun}: write it so, or define {name!r} there"
        if kind == name:
            hint = f"it is a kind of {noun}: define it there, as `{kind}: {{kind: {kind}}}`, or name it in {key}"
    elif path[-1] == key:
        # a grid may also name a kind; there are too many of these to list them
        hint = suggestion(name, dict.fromkeys([*defined, *names_of_kinds(union)]))
        hint = hint or f"{choice(name, defined)}, or a kind of {noun} (config/README.md has them all)"
    raise UnreadableSettings("config", path, f"names {name!r}, which {section} does not define; {hint}")


def _check_single(path: Keys, name: str, sweeps: Mapping[str, Sweep]) -> None:
    """What has to be one model is not a sweep."""
    if name in sweeps:
        models = sweeps[name]
        over = " and ".join(next(iter(models.values())))
        what = f"names {name!r}, which is a sweep over {over}; choose one of {', '.join(models)}"
        raise UnreadableSettings("config", path, what)


def _check_imported(study: Study) -> None:
    """An imported model has a file, and is of one network."""
    for name, method in {TEACHER: study.teacher, **study.students}.items():
        if not isinstance(method, Imported):
            continue
        path: Keys = (TEACHER,) if name == TEACHER else ("students", name)
        if not method.checkpoint:
            raise UnreadableSettings("config", path, "lacks the key 'checkpoint', the file that the model is read from")
        if method.architecture != SAME:
            _check_single((*path, "architecture"), method.architecture, study.sweeps("architectures"))
            _check_name((*path, "architecture"), method.architecture, "networks", study.networks)
            continue
        named = {model for grid in study.all_grids for model in models_in(grid)}
        if len(homes := sorted(model.architecture for model in named if model.method == name)) > 1:
            what = (
                f"is 'same', but the file holds one network, and the models are of {' and '.join(homes)}; name the one "
                "that it holds"
            )
            raise UnreadableSettings("config", (*path, "architecture"), what)


def _check_bases(study: Study) -> None:
    """The chain of bases of every model ends at one that stands on none; each base is a network for the classes."""
    for model in models_in({"architecture": study.networks, "method": study.students}):
        chain = [model]
        while (base := study.base(chain[-1])) is not None:
            if base in chain:
                circle = ", on ".join(map(str, [*chain, base]))
                what = f"leads in a circle: {circle}; name a model that does not stand on this one"
                raise UnreadableSettings("config", ("students", chain[0].method, "base"), what)
            if outputs := study.method(base.method).own_outputs:
                what = f"names {base.method!r}, which has {outputs}; no other model can stand on it"
                raise UnreadableSettings("config", ("students", chain[-1].method, "base"), what)
            chain.append(base)
    for name, method in study.students.items():
        if method.stands_on and isinstance(below := study.method(method.stands_on.method), PostProcessing):
            what = (
                f"is {method.stands_on.method!r}, whose network is that of its own base, as its kind changes nothing "
                f"but predictions; name that base, {below.base.method!r}"
            )
            raise UnreadableSettings("config", ("students", name, "base"), what)
        if not method.stands_on or not (home := study.home(method.stands_on.method)):
            continue
        if method.stands_on.architecture not in (SAME, home):
            what = f"is {method.stands_on.architecture!r}, but {method.stands_on.method!r} is imported as {home!r}"
            raise UnreadableSettings("config", ("students", name, "base", "architecture"), what)
        for grid in study.all_grids if isinstance(method, PostProcessing) else []:
            if name in grid["method"] and grid["architecture"] != [home]:
                what = (
                    f"is imported as the network {home!r}, which a method of this kind keeps, and the grid has "
                    f"{' and '.join(grid['architecture'])}; give this method a grid of that architecture alone"
                )
                raise UnreadableSettings("config", ("students", name, "base"), what)


def _check_layers(study: Study) -> None:
    """A network has the layers that its method reads, and its base's network has their partners."""
    for grid in study.all_grids:
        for model in models_in(grid):
            base = study.base(model)
            base_layers = study.networks[base.architecture].layout.layers if base else ()
            method = study.method(model.method)
            try:
                method.pair_layers(study.networks[model.architecture].layout.layers, base_layers)
            except UserError as error:
                on = f" (network {model.architecture}{f', base {base}' if base else ''})"
                path = ("students", model.method, method.layer_setting)
                raise UnreadableSettings("config", path, f"{error}{on}") from None


def _check_sizes(study: Study) -> None:
    """A network that takes images of one size alone gets no others, and a method none that it cannot work with."""
    for grid in study.all_grids:
        for dataset, name in product(grid["dataset"], grid["method"]):
            try:
                study.method(name).check_image_size(study.data.sets[dataset].network_sees)
            except UserError as error:
                raise UnreadableSettings("config", ("students", name), f"{error} (data.sets.{dataset})") from None
        for dataset, model in product(grid["dataset"], models_in(grid)):
            _check_maps(study, dataset, model)
            method = study.method(model.method)
            size = method.network_gets(study.data.sets[dataset].network_sees)
            try:
                study.networks[model.architecture].check_image_size(size, of=f"data.sets.{dataset}")
            except UserError as error:
                mended = "change its image_size or crop"
                if isinstance(method, Imported):
                    mended = "resize its images for the model, by preprocess: {size: ...}"
                what = f"{error}; choose another network for this data set, or {mended}"
                raise UnreadableSettings("config", ("networks", model.architecture), what) from None


def _check_maps(study: Study, dataset: str, model: ModelName) -> None:
    """A method that compares where layers are active has maps of more than one pixel."""
    method, base = study.method(model.method), study.base(model)
    if not isinstance(method, LayerDistillation):
        return
    assert base is not None
    size = study.data.sets[dataset].network_sees
    own, other = (study.networks[one.architecture].layout for one in (model, base))
    pairs = method.pair_layers(own.layers, other.layers)
    single = own.of_one_pixel(size), other.of_one_pixel(study.method(base.method).network_gets(size))
    try:
        method.without_single(pairs, [a for a, b in pairs.items() if a in single[0] or b in single[1]], image_size=size)
    except UserError as error:
        what = f"{error} (data.sets.{dataset}, network {model.architecture}, base {base})"
        raise UnreadableSettings("config", ("students", model.method, "layers"), what) from None


def _check_epochs(study: Study) -> None:
    """Each stage of a training has an epoch."""
    for name in dict.fromkeys(name for grid in study.all_grids for name in grid["method"]):
        try:
            study.method(name).check_epochs(study.training.epochs)
        except UserError as error:
            raise UnreadableSettings("config", ("students", name), str(error)) from None


def _check_validation(study: Study) -> None:
    """Whatever chooses anything reads the validation split alone, so there has to be one."""
    for grid in study.all_grids:
        fitted = [name for name in grid["method"] if study.method(name).needs_validation]
        asking = ["training.keep is best"] if study.training.keep == "best" else []
        asking += [f"students.{name} is of a kind that is fitted on it" for name in fitted]
        for dataset in grid["dataset"]:
            if asking and not study.data.sets[dataset].has_validation:
                what = f"is 0, but {asking[0]}, which needs a validation split; set it to 0.1, say"
                raise UnreadableSettings("config", ("data", "sets", dataset, "validation"), what)


def _check_search(study: Study) -> None:
    """A search is of a sweep, and reads validation splits by which nothing was fitted or chosen before."""
    for name in study.search:
        if name not in study.sweeps():
            found, hint = "which is no sweep of students", "give one of its settings a list of values"
            if sweep := next((sweep for sweep, models in study.sweeps().items() if name in models), None):
                found, hint = f"a model of the sweep {sweep!r}", "name the sweep"
            elif name not in study.students and study.sweeps():
                hint = choice(name, study.sweeps())
            elif name not in study.students:
                hint = suggestion(name, study.students) or "give a setting of a student a list of values"
            raise UnreadableSettings("config", ("search",), f"names {name!r}, {found}; {hint}")
        if study.training.keep == "best":
            what = (
                f"is 'best', which chooses each model's epoch by the images that search.{name} chooses the model by; "
                "set it to last"
            )
            raise UnreadableSettings("config", ("training", "keep"), what)
        if any(study.method(model).needs_validation for model in study.sweeps()[name]):
            what = "is of a kind that is fitted on the validation split, by which it cannot be chosen too; leave it out"
            raise UnreadableSettings("config", ("search", name), what)
        for dataset in study.datasets:
            if not study.data.sets[dataset].has_validation:
                what = f"is 0, but search.{name} chooses on the validation split; set it to 0.1, say"
                raise UnreadableSettings("config", ("data", "sets", dataset, "validation"), what)


def _check_export(study: Study) -> None:
    """Only models of the study are exported, and of these none whose labels are drawn at random."""
    columns = {"datasets": "dataset", "architectures": "architecture", "methods": "method", "seeds": "seed"}
    for key, column in columns.items():
        known = list(dict.fromkeys(name for grid in study.all_grids for name in grid[column]))
        for name in getattr(study.export, key) or []:
            if name not in known:
                what = f"names {name!r}, which no grid of the study has; {choice(name, [str(one) for one in known])}"
                raise UnreadableSettings("config", ("export", key), what)
    for name in study.export.methods or []:
        if study.method(name).draws_labels:
            what = (
                f"names {name!r}, whose labels are drawn at random from probabilities: with the most probable class, "
                "which a file of a network gives, it would not be fair; leave it out"
            )
            raise UnreadableSettings("config", ("export", "methods"), what)
    if not study.exported:
        chosen = " and ".join(key for key in columns if getattr(study.export, key))
        what = f"chooses no model: no grid of the study has its {chosen} together; leave some out, to see what there is"
        raise UnreadableSettings("config", ("export",), what)


def _check_effects(study: Study) -> None:
    """No setting has a value of the user's that others leave without effect.

    Its default may be stated, as a copy of config/config.yaml does, and so may `false`. A model whose term is switched
    off on purpose is a control, and may have what the others have that are compared with it.
    """
    for path, models in _entries(study):
        reasons = [model.without_effect() for model in models]
        for key in dict.fromkeys(key for found in reasons for key in found):
            default = type(models[0]).model_fields[key].get_default()
            values = [getattr(model, key) for model in models]
            idle = [(value, of_model[key]) for value, of_model in zip(values, reasons, strict=True) if key in of_model]
            everywhere = len(idle) == len(models)
            if what := _without_effect(idle, default) if everywhere else _alike(idle):
                raise UnreadableSettings("config", (*path, key), what)


def _without_effect(idle: Sequence[tuple[Any, NoEffect]], default: Any) -> str:
    """What is wrong with a setting that has no effect in any model of an entry, by its values and why; or nothing."""
    values, reasons = zip(*idle, strict=True)
    is_stated = values[0] == default or values[0] is False
    is_control = all(one.is_control and not one.by_default for one in reasons)
    if values[1:] == values[:-1] and (is_stated or is_control):
        return ""
    reason = next((one for one in reasons if one.is_control), reasons[0])
    # as a configuration has it, where true and false are in lower case
    shown = as_text(default).lower() if isinstance(default, bool) else as_text(default)
    return f"has no effect, as {reason.because}; leave it at its default, {shown}, or {reason.instead}"


def _alike(idle: Sequence[tuple[Any, NoEffect]]) -> str:
    """What is wrong with a setting that has no effect in some models of a sweep, the controls aside; or nothing."""
    alike = [(value, reason) for value, reason in idle if not reason.is_control]
    if all(value == alike[0][0] for value, _ in alike):
        return ""
    what = f"has several values, but no effect where {alike[0][1].because}, so that models would be alike"
    return f"{what}; give that case an entry of its own"


def _entries(study: Study) -> Iterator[tuple[Keys, Sequence[Settings]]]:
    """All settings that may leave others of theirs without effect: the keys to them; those of a sweep's models."""
    yield ("export",), [study.export]
    defined: dict[str, Mapping[str, Settings]] = {"methods": study.students, "datasets": study.data.sets}
    for key, entries in defined.items():
        section, sweeps = SECTIONS[key][0], study.sweeps(key)
        swept = {model for models in sweeps.values() for model in models}
        for name, models in sweeps.items():
            yield (*section, name), [entries[model] for model in models]
        for name in [name for name in entries if name not in swept]:
            yield (*section, name), [entries[name]]
    for name, method in {TEACHER: study.teacher, **study.students}.items():
        if isinstance(method, Imported) and method.preprocess:
            where: Keys = (TEACHER,) if name == TEACHER else ("students", name)
            yield (*where, "preprocess"), [method.preprocess]


def _check_study_name(study: Study, given: Mapping[str, Any] | None) -> None:
    """Other data than the paper's do not come among the results of its grid because nobody named the study."""
    if given is None or "study" in given:
        return
    papers = {settings.kind for settings in Study().data.sets.values()}
    for name in dict.fromkeys(name for grid in study.all_grids for name in grid["dataset"]):
        if (kind := study.data.sets[name].kind) not in papers:
            what = (
                f"is left out, so that data.sets.{name}, of kind {kind}, would have its results among those of the "
                f"paper's grid, in results/{study.study}/; name the study, as in 'study: {name}'"
            )
            raise UnreadableSettings("config", ("study",), what)

"""Where a result comes from: the version of the code, of the packages, and the machine."""

import ast
import functools
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fairdistill.runtime.files import sha256

ROOT = Path(__file__).parents[2]
PROJECT = ("fairdistill", "scripts")
# What a study is made with, beside the packages: the code of its archive.
CODE = (
    *("Snakefile", "fairdistill", "scripts", "workflow", "envs", "config", "profiles", "notebooks"),
    *("Makefile", "pyproject.toml", "requirements.in", "requirements.lock", "LICENSE", "CITATION.cff", "README.md"),
)
# Packages that are left out of a version. A change in `runtime` alters how an error reads, how a file gets to its
# place, which GPU is taken or what is noted beside a result, but no result. A change in `settings` alters a result
# through the values of the settings, and those are recorded and compared by themselves. (Attributes of a class that are
# no settings belong to the module that implements it, and change with it. What classes of settings compute of their
# values is not seen: which layers are paired, how many epochs a stage has, which seed draws the colours. Who changes
# what one of these returns changes the module that asks for it as well, so that models are trained anew.)
NEUTRAL = ("fairdistill.runtime", "fairdistill.settings")
# The modules of these packages that decide results: what a data set of the user's own files holds, and which layers of
# torchvision's networks are read.
COUNTED = (
    "fairdistill.runtime.csv_table",
    "fairdistill.runtime.folders",
    "fairdistill.runtime.pictures",
    "fairdistill.settings.layout",
    "fairdistill.settings.torchvision_networks",
)
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "safetensors",
    "scikit-learn",
    "scipy",
)

# the fields of syntax trees that hold the types of a function's parameters and of what it returns; they run nothing
TYPES = {ast.arg: "annotation", ast.FunctionDef: "returns", ast.AsyncFunctionDef: "returns"}


@functools.cache
def code_version(*modules: str) -> str:
    """Digest of the logic of `modules` and of all project modules that they import, directly or not, less `NEUTRAL`.

    What only modules of these packages import does not count either.

    It is taken over the syntax trees without docstrings and without the types of functions' parameters and results:
    these, comments and layout do not change it, nor do the folder that the project lies in and the version of Python.
    Imports inside functions count, and so do the tables that a module reads: those beside it whose names begin with its
    own, as ways.avx512.csv beside ways.py. A module that is loaded by its name, as those are that the settings call an
    `implementation`, is not seen and has to be given. Nor is a module's own `__getattr__`, which loads what is asked
    for by name.

    Parameters
    ----------
    *modules
        Dotted names below `fairdistill` or `scripts`, such as "scripts.train_model".

    Returns
    -------
    str
        12 hexadecimal digits.

    Raises
    ------
    ModuleNotFoundError
        A name in `modules` is no module of the project.
    """
    digest = hashlib.sha256()
    for module in sorted(project_modules(modules)):
        if is_neutral(module):
            continue
        digest.update(f"{module}\n{_logic(module)}\n".encode())
        for table in _tables(module):
            digest.update(f"{table.name}\n{sha256(table)}\n".encode())
    return digest.hexdigest()[:12]


def is_neutral(module: str) -> bool:
    """Whether a change in a project module alters no result."""
    return module.startswith(NEUTRAL) and module not in COUNTED


def project_modules(modules: Iterable[str]) -> set[str]:
    """`modules`, the project modules that they import, directly or not, and the packages that hold them.

    Imports of those in `NEUTRAL` are not followed.
    """
    found: set[str] = set()
    queue = list(modules)
    for module in queue:
        _tree(module)  # an error for what is no module
    while queue:
        module = queue.pop()
        if module not in found and _source(module):
            found.add(module)
            # what alters no result calls nothing that does
            queue += () if is_neutral(module) else imported_names(module)
            queue.append(module.rpartition(".")[0])
    return found


@functools.cache
def imported_names(module: str) -> frozenset[str]:
    """Dotted names that a project module imports, wherever in it: modules, and names that may be modules."""
    return frozenset(_imports(_tree(module)))


def _imports(tree: ast.Module) -> Iterator[str]:
    # no expression imports anything, and there are many
    statements: list[ast.AST] = [*tree.body]
    for node in statements:
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            statements += getattr(node, block, ())
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"relative import in line {node.lineno}: write the full name of the module")
            module = str(node.module)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@functools.cache
def _source(module: str) -> Path | None:
    if module.split(".")[0] not in PROJECT:
        return None
    path = ROOT.joinpath(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _tables(module: str) -> list[Path]:
    path = _source(module)
    return sorted(path.parent.glob(f"{path.stem}.*.csv")) if path else []


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _source(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is no module of the project", name=module)
    return ast.parse(path.read_bytes())


@functools.cache
def _logic(module: str) -> str:
    tree = _tree(module)
    body = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == "__getattr__")]
    return repr(_outline(ast.Module(body, tree.type_ignores)))


def _outline(node: object) -> object:
    """What a syntax tree says, without positions, docstrings, types of parameters and the values of `__version__` etc.

    Unlike `ast.dump`, it leaves out what is empty, and with it the fields that only some Pythons have.
    """
    if isinstance(node, list):
        return [_outline(child) for child in node if not _is_ignored(child)]
    if isinstance(node, ast.AST):
        of_types = TYPES.get(type(node))
        fields = [
            (name, _outline(value))
            for name in node._fields
            if name != of_types and (value := getattr(node, name, None)) is not None and value != []
        ]
        return type(node).__name__, *fields
    return node


def _is_ignored(node: object) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, ast.Name) and target.id.startswith("__") for target in targets)
    return False


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def packages() -> dict[str, str]:
    """Versions of all installed packages, and what torch was built from and with."""
    installed = {
        name.lower(): distribution.version
        for distribution in importlib.metadata.distributions()
        # the remains of a package that pip could not remove have no name
        if (name := distribution.metadata["Name"])
    }
    if torch := sys.modules.get("torch"):
        installed |= {"torch (commit)": torch.version.git_version, "torch (cuda)": str(torch.version.cuda)}
    return dict(sorted(installed.items()))


def commit() -> str | None:
    """The git commit of the checkout, with "-modified" where the code differs from it; None outside a checkout."""

    try:
        modified = _git("status", "--porcelain", "--", *PROJECT, "workflow", "Snakefile")
        return _git("rev-parse", "HEAD").decode().strip() + ("-modified" if modified else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def tracked_state() -> str | None:
    """The git commit of the checkout; where tracked files of `CODE` differ from it, with "-modified-" and 12 digits.

    These are a digest of the differences, so that other code has another state. Files that git does not track are no
    part of it. None outside a checkout, and where there is no commit or no git.
    """
    try:
        differences = _git("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD", "--", *CODE)
        digest = hashlib.sha256(differences).hexdigest()[:12]
        return _git("rev-parse", "HEAD").decode().strip() + (f"-modified-{digest}" if differences else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def tracked_files() -> list[str]:
    """Paths, within the checkout, of the files of `CODE` that git tracks; none outside a checkout or without git."""
    try:
        listed = _git("ls-files", "-z", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [name for name in os.fsdecode(listed).split("\0") if name]


def untracked_code() -> dict[str, str]:
    """SHA-256 of modules, their tables and rules that git does not track and may have run, by path within `ROOT`.

    Those that it is told to ignore are left out. None outside a checkout or without git.
    """
    of_code = [f"{folder}/*{ending}" for folder in (*PROJECT, "workflow") for ending in (".py", ".csv", ".smk")]
    try:
        listed = _git("ls-files", "-z", "--others", "--exclude-standard", "--", *of_code)
    except (OSError, subprocess.CalledProcessError):
        return {}
    names = sorted(filter(None, os.fsdecode(listed).split("\0")))
    # a link that leads nowhere is listed, too
    return {name: sha256(ROOT / name) for name in names if (ROOT / name).is_file()}


def _git(*arguments: str) -> bytes:
    """What git prints of the checkout, whose root is `ROOT`: within another project's it would speak of that one."""
    if not (ROOT / ".git").exists():
        raise FileNotFoundError(f"{ROOT} is no checkout")
    command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


# what tells generations of processors apart, on x86 and on ARM
CPU_ID = ("cpu family", "model", "stepping", "CPU implementer", "CPU part", "CPU variant")


def hardware() -> dict[str, str | int | None]:
    """Platform, name and generation of the CPU, what torch uses of it, cores, and the GPU if one is used."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.get_device_name() if torch and torch.cuda.is_initialized() else None
    instructions = torch.backends.cpu.get_cpu_capability() if torch else None
    cpu = _cpu()
    return {
        "platform": platform.platform(),
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        # a maker gives several generations one name
        "cpu_id": ", ".join(f"{name} {cpu[name]}" for name in CPU_ID if name in cpu),
        "instructions": instructions,
        "cores": os.cpu_count(),
        "gpu": gpu,
    }


def peak_memory_mb() -> float:
    """Peak resident memory of this process, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def peak_gpu_memory_mb() -> float | None:
    """Peak memory that torch has taken on the GPU in this process, in MiB; None where it uses none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return torch.cuda.max_memory_reserved() / 2**20


def _cpu() -> dict[str, str]:
    """What /proc/cpuinfo says of the first core; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.split(":", 1) for line in text.partition("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in lines}

# What would end a run in its middle, or cost what it made, is said before it begins: files in the place of folders, and
# files of the study whose time is in the future. So are tables and figures that stay from another configuration. It
# comes behind the rules, which say what their files are.
import os.path
import re
import sys
from pathlib import Path

from fairdistill.runtime.differences import some_of
from fairdistill.runtime.files import no_folders
from fairdistill.runtime.own_files import NOTES
from fairdistill.runtime.progress import TRAININGS
from fairdistill.runtime.studies import files_below, newer_than_now


def folders_of_study(patterns):
    """The folders below that of the study which data sets, models, and what is made of a model go into."""
    folders = {DATA.format(dataset=dataset, draw=draw) for dataset, draw in STUDY.draws(ALL_GRIDS)}
    folders |= {folder for pattern in patterns - {DATA} for folder in paths(pattern, ALL_GRIDS)}
    while above := {os.path.dirname(folder) for folder in folders} - folders - {RESULTS}:
        folders |= above
    return folders


def files_in_the_way(found):
    """The files in the place of folders, where `found` are the files of the study."""
    patterns = {os.path.dirname(path) for path in files_of_rules()}
    of_study = {folder for folder in patterns if "{" in folder}
    others = patterns - of_study
    # see `job` in workflow/job.sh
    notes = {f".snakemake/failed/{folder}" for folder in others if folder.startswith("logs/")}
    in_the_way = no_folders(*map(Path, [*others, *notes, *folders_of_notes(), NOTES, TRAININGS]))
    return in_the_way or sorted(folders_of_study(of_study).intersection(map(str, found)))


def of_other_configurations(found):
    """The tables and figures among `found` that this workflow makes, but not by this configuration."""
    made = {*tables(), *figures(), *from_models()}
    patterns = {path for path in files_of_rules() if os.path.dirname(path) in (TABLES, FIGURES)}
    patterns |= {VALIDATION, CONCLUSIONS}
    names = re.compile("|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)) for pattern in patterns))
    return sorted(str(path) for path in found if names.fullmatch(str(path)) and str(path) not in made)


if is_called_by_the_user():
    FOUND = list(files_below(Path(RESULTS)))
    if in_the_way := files_in_the_way(FOUND):
        sys.exit(
            f"error: {in_the_way[0]}: results, logs or notes go into a folder of this name, and it is none; move it, or "
            "remove it"
        )
    # Where an input is newer than its outputs when a job is done, Snakemake takes the job for failed, and removes them.
    # The jobs that take long look once more when they start: see `on_inputs` in workflow/job.sh.
    if from_the_future := newer_than_now(Path(RESULTS), FOUND):
        sys.exit(
            f"error: {from_the_future[0]}: its time is in the future (files like it in {RESULTS}: "
            f"{len(from_the_future)}), so that Snakemake would throw away what is made from it; set the clock right, "
            f"or type: find -H {RESULTS} -newermt now -exec touch -h -t $(date +%Y%m%d%H%M.%S) {{}} +"
        )
    # a published study has no models, and tables and figures that were made by several configurations
    others = of_other_configurations(FOUND) if os.path.isdir(f"{RESULTS}/models") else []
    if others:
        print(
            f"warning: {RESULTS} has tables or figures that this configuration does not make, {len(others)} in all: "
            f"{some_of([os.path.relpath(path, RESULTS) for path in others])}; they stay as another configuration has left "
            "them; where that misleads, remove them, or give this one another name as its `study`",
            file=sys.stderr,
        )

# What would end a run in its middle, or cost what it made, is said before it begins: files in the place of folders, and
# files of the study whose time is in the future. It comes behind the rules, which say what the folders are.
import os.path
import sys
from pathlib import Path

from fairdistill.runtime.files import no_folders
from fairdistill.runtime.progress import TRAININGS
from fairdistill.runtime.studies import files_below, newer_than_now
from fairdistill.settings.data import name_draw


def folders_of_study():
    """The folders below that of the study which data sets, models, and what is made of a model go into."""
    patterns = {folder for folder in folders_of_rules() if "{" in folder}
    of_models = patterns - {DATA}
    draws = {
        (name, name_draw(STUDY.data.sets[name].per_seed, seed))
        for grid in ALL_GRIDS
        for name in grid["dataset"]
        for seed in grid["seed"]
    }
    folders = {DATA.format(dataset=dataset, draw=draw) for dataset, draw in draws}
    folders |= {folder for pattern in of_models for folder in paths(pattern, ALL_GRIDS)}
    while above := {os.path.dirname(folder) for folder in folders} - folders - {RESULTS, ""}:
        folders |= above
    return folders


def files_in_the_way(found):
    """The files in the place of folders, where `found` are the files of the study."""
    folders = {folder for folder in folders_of_rules() if "{" not in folder}
    # see `job` in workflow/job.sh
    notes = {f".snakemake/failed/{folder}" for folder in folders if folder.startswith("logs/")}
    others = [*folders, *notes, *folders_of_notes(), OWN_FILES, TRAININGS]
    return no_folders(*map(Path, others)) or sorted(folders_of_study().intersection(map(str, found)))


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

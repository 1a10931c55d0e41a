# What would end a run in its middle, or cost what it made, is said before it begins: files in the place of folders, and
# files of the study whose time is in the future.
import sys
from pathlib import Path

from fairdistill.runtime.files import no_folders
from fairdistill.runtime.studies import PARTS, newer_than_now

if is_called_by_the_user():
    if in_the_way := no_folders(*(Path(RESULTS, part) for part in PARTS), Path(LOGS)):
        sys.exit(
            f"error: {in_the_way[0]}: results or logs go into a folder of this name, and it is none; move it, or remove it"
        )
    # Where an input is newer than its outputs when a job is done, Snakemake takes the job for failed, and removes them.
    # The jobs that take long look once more when they start: see `on_inputs` in workflow/job.sh.
    if from_the_future := newer_than_now(Path(RESULTS)):
        sys.exit(
            f"error: {from_the_future[0]}: its time is in the future (files like it in {RESULTS}: "
            f"{len(from_the_future)}), so that Snakemake would throw away what is made from it; set the clock right, "
            f"or type: find -H {RESULTS} -newermt now -exec touch -h -t $(date +%Y%m%d%H%M.%S) {{}} +"
        )

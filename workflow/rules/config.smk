# The configuration, checked: STUDY has every setting as an attribute (fairdistill/settings/study.py).
import os.path
import sys

from fairdistill.runtime.errors import UserError
from fairdistill.settings.paper import read_paper_values
from fairdistill.settings.configuration import complete

try:
    STUDY = complete(config, GIVEN)
    if STUDY.paper_values and not os.path.isfile(STUDY.paper_values):
        raise UserError(
            f"config: paper_values is {STUDY.paper_values}, and there is no such file; "
            "give a CSV like config/paper_values.csv, or null"
        )
    # a file that the jobs would not understand is refused now
    if STUDY.paper_values:
        read_paper_values(STUDY.paper_values, study=STUDY)
except UserError as error:
    sys.exit(f"error: {error}")

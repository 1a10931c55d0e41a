# Whether the files of the configuration can be read. It comes before the statement `configfile:`, by which Snakemake
# reads config/config.yaml: of what it cannot read it gives a traceback. Those that --configfile names it has read before.
import sys
from contextlib import suppress
from pathlib import Path

from fairdistill.runtime.errors import UserError
from fairdistill.settings.config_files import check_config_file

try:
    for file in [*files_of_configuration(), Path("config/config.yaml")]:
        # without one, Snakemake says so where it needs it
        with suppress(FileNotFoundError):
            check_config_file(file)
except UserError as error:
    sys.exit(f"error: {error}")

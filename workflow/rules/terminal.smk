# What a run shows on the terminal: a line for each event, unless FAIRDISTILL_VERBOSE is set (`make VERBOSE=1 ...`).
# It comes before the configuration is read, because Snakemake has something to say about that too.
import logging
import os
import time

from fairdistill.runtime.progress import plan_trainings
from fairdistill.runtime.terminal import Terminal

# names this run, in this process and in those that it starts for its jobs
RUN = os.environ.setdefault("FAIRDISTILL_RUN", f"{time.time_ns()}")

if not os.environ.get("FAIRDISTILL_VERBOSE") and (handler := snakemakes_handler()):
    snakemakes_logger = logging.getLogger("snakemake.logging")
    snakemakes_logger.removeHandler(handler)
    snakemakes_logger.addHandler(Terminal(handler, run=RUN))

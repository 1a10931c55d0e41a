# What a run shows on the terminal: a line for each event, unless FAIRDISTILL_VERBOSE is set (`make VERBOSE=1 ...`).
# It comes before the configuration is read, because Snakemake has something to say about that too.
import os
import time

from fairdistill.runtime.progress import plan_trainings
from fairdistill.runtime.terminal import Terminal

# names this run, in this process and in those that it starts for its jobs
INVOCATION = os.environ.setdefault("FAIRDISTILL_RUN", f"{time.time_ns()}")

if not os.environ.get("FAIRDISTILL_VERBOSE"):
    replace_terminal_handler(lambda handler: Terminal(handler, run=INVOCATION))

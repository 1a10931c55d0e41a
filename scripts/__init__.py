"""What the rules of the workflow run, each as `python -m scripts.NAME`."""

from fairdistill.runtime.imports import begin_script

# before the script's own imports; `run_script` ends it
begin_script()

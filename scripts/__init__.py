"""The commands, each as `python -m scripts.NAME`: what the rules of the workflow run, and some for people alone."""

from fairdistill.runtime.imports import begin_script

# before the script's own imports; `run_script` ends it
begin_script()

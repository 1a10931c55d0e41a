# For the shell of every job; Snakemake runs it in bash.
set -euo pipefail

# job NAME FAILED LAST LOG COMMAND...
#
# Runs COMMAND. What it says goes to LOG, and to the terminal with NAME before each line. The file FAILED lists the
# runs of Snakemake in which the job did not reach its end; LAST is for Snakemake alone: see `job` in rules/common.smk.
job() {
    local name=$1 failed=$2 log=$4
    shift 4
    mkdir -p "$(dirname "$failed")"
    echo "$FAIRDISTILL_RUN" >> "$failed"
    "$@" 2>&1 | tee "$log" | while IFS= read -r line || [ -n "$line" ]; do printf '%s | %s\n' "$name" "$line"; done
    if grep -vx "$FAIRDISTILL_RUN" "$failed" > "$failed.earlier"; then
        mv "$failed.earlier" "$failed"
    else
        rm -f "$failed" "$failed.earlier"
    fi
}

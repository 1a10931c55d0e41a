# For the shell of every job; Snakemake runs it in bash.
set -euo pipefail

# job NAME COUNTER FAILURES LOG COMMAND...
#
# Runs COMMAND. What it says goes to LOG, and to the terminal with NAME before each line. The file COUNTER holds
# FAILURES again at the end, and one more if the end is not reached: see `job` in rules/common.smk.
job() {
    local name=$1 counter=$2 failures=$3 log=$4
    shift 4
    mkdir -p "$(dirname "$counter")"
    echo $((failures + 1)) > "$counter"
    "$@" 2>&1 | tee "$log" | while IFS= read -r line; do printf '%s | %s\n' "$name" "$line"; done
    echo "$failures" > "$counter"
}

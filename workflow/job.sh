# Read by the shell of every job (bash, as Snakemake starts it).
set -euo pipefail

# A conda environment has all that its job needs: other versions in ~/.local would come before it.
if [ -n "${CONDA_PREFIX:-}" ]; then export PYTHONNOUSERSITE=1; fi

# job LAST_FAILURE LOG INPUT... -- COMMAND...
#
# Runs COMMAND as `logged` does, and with regard to the times of its inputs as `on_inputs` does. While it runs, and for
# good if it fails, this run of Snakemake is noted in .snakemake/failed/LOG. LAST_FAILURE is the parameter that Snakemake
# compares, see `last_failure` in workflow/rules/jobs.smk: at the job's end the note says what makes the next plan find
# the same. A job that outlived its Snakemake does not end the note of one that was started since.
job() {
    local last=$1 log=$2 note=.snakemake/failed/$2
    shift 2
    mkdir -p "$(dirname "$note")"
    echo "$FAIRDISTILL_RUN" >> "$note"
    logged "$log" on_inputs "$@"
    if [ "$(tail -n 1 "$note" 2> /dev/null)" = "$FAIRDISTILL_RUN" ]; then
        if [ "$last" = none ]; then
            rm -f "$note"
        else
            echo "settled $last" > "$note.new"
            mv "$note.new" "$note"
        fi
    fi
}

# on_inputs INPUT... -- COMMAND...
#
# Runs COMMAND, unless an INPUT is newer than now. When a job is done, Snakemake compares the times of its files; where an
# input is newer than an output it takes the job for failed, and removes its outputs, though it has given up their earlier
# versions already. A clock that was set back while COMMAND ran must not cost what it has made: then the input gets the
# time of now. That is what the file system with the results says it is, and not this machine: hence the folder that is
# touched.
on_inputs() {
    local now=$FAIRDISTILL_RESULTS inputs=() input
    while [ "$1" != -- ]; do
        inputs+=("$1")
        shift
    done
    shift
    mkdir -p "$now"
    touch "$now"
    # spelt so because bash before 4.4 takes an empty array for one that is not set
    for input in ${inputs[@]+"${inputs[@]}"}; do
        if is_newer "$input" "$now"; then
            echo "error: $input: its time is in the future (now it is $(date)), so that Snakemake would throw away what is" \
                "made from it; set the clock right, or type: touch $(printf %q "$input")"
            return 1
        fi
    done
    "$@" || return
    touch "$now"
    for input in ${inputs[@]+"${inputs[@]}"}; do
        if is_newer "$input" "$now"; then
            touch -h "$input"
            echo "$input: its time was in the future, as the clock was set back meanwhile; now it has the time of now"
        fi
    done
}

# is_newer FILE OTHER
#
# A link counts by its own time, as it does for Snakemake.
is_newer() {
    [ -n "$(find "$1" -prune -newer "$2")" ]
}

# logged LOG COMMAND...
#
# Runs COMMAND. All its output goes to LOG, and the lines that tell of its progress to the terminal.
logged() {
    local log=$1
    shift
    { "$@" || say_if_killed $?; } 2>&1 | tee "$log" | show_progress "$(basename "$log" .log)" >&2
}

# say_if_killed STATUS
#
# A process that is killed cannot say so itself. Returns STATUS.
say_if_killed() {
    # a full memory is told of by SIGKILL, and a script that Ctrl-C ends says so itself
    if (($1 == 137)); then
        echo "error: it was killed by the signal KILL; where nobody did that, the memory was full: let fewer run at a time" \
            "(--cores; for trainings also a higher training.memory), or lower training.batch_size or the image_size"
    elif (($1 > 128 && $1 != 130)); then
        echo "error: it was killed by the signal $(kill -l "$1"); where a person or a time limit did that, the same" \
            "command goes on from there"
    fi
    return "$1"
}

# show_progress NAME
#
# Of the lines on stdin, prints those that tell of a job's progress, with NAME before them: what it warns of, waits for or
# goes on from, four epochs of a training (the first, two between, the last), which epoch is kept where it is another, how
# many images of a data set are read, which file of an exported model is written or tested, and that a model is there
# already and not trained again. With FAIRDISTILL_VERBOSE it prints all lines.
show_progress() {
    local line epoch epochs shown
    while IFS= read -r line || [ -n "$line" ]; do
        shown=${FAIRDISTILL_VERBOSE:-}
        if [[ $line =~ ^epoch\ ([0-9]+)/([0-9]+)\ \  ]]; then
            epoch=${BASH_REMATCH[1]} epochs=${BASH_REMATCH[2]}
            # a third of the training ends with this epoch
            if ((epoch == 1 || 3 * epoch / epochs > 3 * (epoch - 1) / epochs)); then shown=yes; fi
        elif [[ $line =~ ^(warning:|waiting|asking|resuming|keeping|reading|comparing|writing|testing)\  ]]; then
            shown=yes
        elif [[ $line == *" holds this very training already;"* ]]; then
            shown=yes
        fi
        if [ -n "$shown" ]; then printf '       %s | %s\n' "$1" "$line"; fi
    done
}

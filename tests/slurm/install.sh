#!/usr/bin/env bash
# Installs what tests/slurm starts. Needs root on Debian or Ubuntu, and a package mirror in reach.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
packages=(munge slurmctld slurmd slurm-client)
if ! dpkg --status "${packages[@]}" > /dev/null 2>&1; then
    apt-get update --quiet
    apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
fi

#!/usr/bin/env bash
# Installs the browser that the tests of pages open. Needs root on Debian or Ubuntu, and a package mirror in reach.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
if ! command -v chromium > /dev/null 2>&1; then
    apt-get update --quiet
    apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core
fi

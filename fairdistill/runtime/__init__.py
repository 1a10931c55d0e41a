"""Files, locks, devices, provenance, errors and progress: what every other package stands on."""

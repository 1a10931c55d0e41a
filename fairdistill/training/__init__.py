"""Training a network: the loop, the job around it, and how it is computed."""

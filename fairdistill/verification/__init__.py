"""Whether what a study publishes follows from what it was made from: `fairdistill.verification.study.verify`.

The functions `differences_of_*` return one line for each thing that does not hold, and an empty list where all holds.
"""

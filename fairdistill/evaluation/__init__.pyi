from fairdistill.evaluation.fairness_report import report as report

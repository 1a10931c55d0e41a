# Metrics are kept like models: those of the published study are tracked by git, and a failure must not delete them.
rule evaluate_model:
    input:
        predictions=MODEL_FILES["predictions"],
        training=MODEL_FILES["training"],
    output:
        metrics=update(METRICS),
        probabilities=update(PROBABILITIES),
    log:
        f"{LOGS}/evaluate_model/{MODEL_NAME}.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        last_failure=last_failure(f"{LOGS}/evaluate_model/{MODEL_NAME}.log"),
        code=code_version("scripts.evaluate_model"),
    shell:
        "job {params.last_failure} {log}"
        " python -m scripts.evaluate_model --predictions {input.predictions} --training {input.training}"
        " --code {params.code} --output {output.metrics} --probabilities {output.probabilities}"

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
        "job {params.last_failure} {log} {input:q} --"
        " python -m scripts.evaluate_model --predictions {input.predictions} --training {input.training}"
        " --code {params.code} --output {output.metrics} --probabilities {output.probabilities}"


# On the CPU: other jobs may fill a GPU, and few images are enough.
rule probe_features:
    input:
        unpack(data_of),
        weights=MODEL_FILES["weights"],
        predictions=MODEL_FILES["predictions"],
        training=MODEL_FILES["training"],
    output:
        features=update(FEATURES),
        projection=update(PROJECTION),
    log:
        f"{LOGS}/probe_features/{MODEL_NAME}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=2500,
        runtime=20,
    params:
        last_failure=last_failure(f"{LOGS}/probe_features/{MODEL_NAME}.log"),
        folder=subpath(input.info, parent=True),
        code=code_version("scripts.probe_features"),
    shell:
        "job {params.last_failure} {log} {input:q} --"
        " python -m scripts.probe_features --data {params.folder} --weights {input.weights}"
        " --predictions {input.predictions} --training {input.training}"
        " --code {params.code} --output {output.features} --projection {output.projection}"

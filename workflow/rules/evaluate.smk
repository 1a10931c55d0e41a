rule evaluate_model:
    input:
        predictions=f"{MODEL}/predictions.parquet",
        training=f"{MODEL}/training.json",
    output:
        update(METRICS),
    log:
        f"{LOGS}/evaluate_model/{{dataset}}.{{architecture}}.{{method}}.seed{{seed}}.log",
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        job=job("evaluate {architecture} {dataset} {method} seed{seed}"),
        code=code_version("scripts.evaluate_model"),
    shell:
        "job {params.job} {log} python -m scripts.evaluate_model --predictions {input.predictions} --training {input.training}"
        " --code {params.code} --output {output}"

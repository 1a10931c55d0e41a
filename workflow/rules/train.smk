rule train_teacher:
    input:
        **DATA_FILES,
    output:
        **kept(files_of_model(method="teacher")),
    log:
        f"{LOGS}/train_teacher/{{dataset}}.{{architecture}}.seed{{seed}}.log",
    benchmark:
        f"{LOGS}/train_teacher/{{dataset}}.{{architecture}}.seed{{seed}}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus_per_training(),
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        job=job("{architecture} {dataset} teacher seed{seed}"),
        data=lambda wildcards, input: str(Path(input.info).parent),
        folder=lambda wildcards, output: str(Path(output.weights).parent),
        architecture=lambda wildcards: as_json(config["models"][wildcards.architecture]),
        method=lambda wildcards: as_json(config["teacher"]),
        training=lambda wildcards: as_json(config["training"]),
        run=lambda wildcards: names_of_run(wildcards, method="teacher"),
        code=lambda wildcards: code_of_training(
            "scripts.train_teacher", config["models"][wildcards.architecture], config["teacher"]
        ),
    message:
        "Training the teacher {wildcards.architecture} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "job {params.job} {log} python -m scripts.train_teacher --data {params.data} --architecture {params.architecture:q}"
        " --method {params.method:q} --training {params.training:q} --seed {wildcards.seed}"
        " --run {params.run:q} --code {params.code} --output {params.folder}"


rule distill_student:
    input:
        **DATA_FILES,
        teacher=teacher_of,
    output:
        **kept(files_of_model()),
    log:
        f"{LOGS}/distill_student/{{dataset}}.{{architecture}}.{{method}}.seed{{seed}}.log",
    benchmark:
        f"{LOGS}/distill_student/{{dataset}}.{{architecture}}.{{method}}.seed{{seed}}.tsv"
    wildcard_constraints:
        method="|".join(config["students"]),
    conda:
        "../../envs/train.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus_per_training(),
        mem_mb=growing(4000),
        runtime=growing(480),
    params:
        job=job("{architecture} {dataset} {method} seed{seed}"),
        data=lambda wildcards, input: str(Path(input.info).parent),
        folder=lambda wildcards, output: str(Path(output.weights).parent),
        architecture=lambda wildcards: as_json(config["models"][wildcards.architecture]),
        teacher=teacher_options,
        method=lambda wildcards: as_json(settings_of_method(wildcards)),
        training=lambda wildcards: as_json(config["training"]),
        run=lambda wildcards: names_of_run(wildcards, method=wildcards.method),
        code=lambda wildcards: code_of_training(
            "scripts.distill_student",
            config["models"][wildcards.architecture],
            settings_of_method(wildcards),
        ),
    message:
        "Training the student {wildcards.architecture} on {wildcards.dataset} by {wildcards.method}, seed {wildcards.seed}"
    shell:
        "job {params.job} {log} python -m scripts.distill_student --data {params.data} --architecture {params.architecture:q}"
        " {params.teacher} --method {params.method:q} --training {params.training:q} --seed {wildcards.seed}"
        " --run {params.run:q} --code {params.code} --output {params.folder}"

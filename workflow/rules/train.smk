# Neither these jobs nor the evaluations have a message: to format it would be a twentieth of planning a large grid, and
# the jobs say themselves what they are.
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
        mem_mb=4000,
        runtime=480,
    params:
        job=job("{architecture} {dataset} teacher seed{seed}"),
        data=subpath(input.info, parent=True),
        folder=subpath(output.weights, parent=True),
        options=lambda wildcards: options_of_training(
            "scripts.train_teacher", wildcards.dataset, wildcards.architecture, "teacher"
        ),
    shell:
        "job {params.job} {log} python -m scripts.train_teacher --data {params.data} {params.options}"
        " --seed {wildcards.seed} --output {params.folder}"


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
        mem_mb=4000,
        runtime=480,
    params:
        job=job("{architecture} {dataset} {method} seed{seed}"),
        data=subpath(input.info, parent=True),
        folder=subpath(output.weights, parent=True),
        teacher=teacher_options,
        options=lambda wildcards: options_of_training(
            "scripts.distill_student", wildcards.dataset, wildcards.architecture, wildcards.method
        ),
    shell:
        "job {params.job} {log} python -m scripts.distill_student --data {params.data} {params.options}"
        " {params.teacher} --seed {wildcards.seed} --output {params.folder}"

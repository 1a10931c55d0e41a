# Trains teachers and students alike; a student whose method stands on another model gets that model's weights.
# A model that was trained elsewhere is read from its file, and nothing is trained.
rule train_model:
    input:
        unpack(data_of),
        unpack(base_of),
        checkpoint=rerun_where_settings_changed(MODEL_FILES["training"], checkpoint_of),
    output:
        **kept(MODEL_FILES),
    log:
        f"{LOGS}/train_model/{MODEL_NAME}.log",
    benchmark:
        f"{LOGS}/train_model/{MODEL_NAME}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: STUDY.training.threads
    resources:
        gpu=gpus_per_training(),
        # more with each attempt, where profiles/slurm has a job submitted again
        mem_mb=lambda wildcards, attempt: STUDY.training.memory * attempt,
        runtime=480,
    params:
        last_failure=last_failure(f"{LOGS}/train_model/{MODEL_NAME}.log"),
        # one that is called for each job costs the plan of a large grid a hundredth of its time
        content=content_of_checkpoint if STUDY.files else "",
        options=training_options,
    shell:
        "job {params.last_failure} {log} {input:q} -- python -m scripts.train_model {params.options}"

# It runs where Snakemake does: the nodes of a cluster often have no way out to the network.
rule download_dataset:
    output:
        update("resources/{archive}"),
    log:
        "logs/download_dataset/{archive}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=3000,
    params:
        last_failure=last_failure("logs/download_dataset/{archive}.log"),
    shell:
        "job {params.last_failure} {log} --"
        " python -m scripts.download_dataset --archive {wildcards.archive} --output {output}"


rule prepare_dataset:
    input:
        archives=rerun_where_settings_changed(DATA_FILES["info"], archives_of),
    output:
        **kept(DATA_FILES),
    log:
        f"{LOGS}/prepare_dataset/{{dataset}}{{draw}}.log",
    conda:
        "../../envs/data.yaml"
    threads: threads_of_data
    resources:
        # 800 for CIFAR-10S, whose archive is read whole; images are written one at a time. The user's own may have 89
        # million pixels together while they are decoded, at up to 20 bytes each: fairdistill/runtime/pictures.py.
        mem_mb=2500,
        runtime=60,
    params:
        last_failure=last_failure(f"{LOGS}/prepare_dataset/{{dataset}}{{draw}}.log"),
        settings=lambda wildcards: as_json(STUDY.data.sets[wildcards.dataset].to_json()),
        archives=archives_option,
        seed=seed_option,
        content=content_option,
        folder=subpath(output.info, parent=True),
        code=code_of_data,
    shell:
        "job {params.last_failure} {log} {input:q} --"
        " python -m scripts.prepare_dataset --settings {params.settings:q} {params.archives} {params.seed} {params.content} --output {params.folder}"

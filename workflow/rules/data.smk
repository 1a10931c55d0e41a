# where Snakemake itself runs: the nodes of a cluster often have no way out to the network
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
        job=job("download {archive}", study=""),
    message:
        "Downloading {wildcards.archive}"
    shell:
        "job {params.job} {log} python -m scripts.download_dataset --archive {wildcards.archive} --output {output}"


rule prepare_dataset:
    input:
        archive=archive_of,
    output:
        **kept(DATA_FILES),
    log:
        f"{LOGS}/prepare_dataset/{{dataset}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        job=job("prepare {dataset}"),
        settings=lambda wildcards: as_json(config["data"]["sets"][wildcards.dataset]),
        archive=lambda wildcards, input: f"--archive {input.archive}" if input.archive else "",
        folder=subpath(output.info, parent=True),
        code=lambda wildcards: code_version(
            "scripts.prepare_dataset",
            f"fairdistill.data.{config['data']['sets'][wildcards.dataset]['kind']}",
        ),
    message:
        "Preparing the data set {wildcards.dataset}"
    shell:
        "job {params.job} {log} python -m scripts.prepare_dataset --settings {params.settings:q} {params.archive}"
        " --output {params.folder}"

# Models to take away, their cards, and descriptions of their data sets. What is made anew within seconds is
# not kept of a job that fails; an exported model is, as models are.
rule export_model:
    input:
        unpack(data_of),
        weights=MODEL_FILES["weights"],
        predictions=MODEL_FILES["predictions"],
        training=MODEL_FILES["training"],
    output:
        **kept(EXPORT_FILES),
    log:
        f"{LOGS}/export_model/{MODEL_NAME}.log",
    conda:
        "../../envs/export.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        last_failure=last_failure(f"{LOGS}/export_model/{MODEL_NAME}.log"),
        data=subpath(input.info, parent=True),
        folder=subpath(output.onnx, parent=True),
        calibration_images=STUDY.export.calibration_images,
        code=lambda wildcards: code_of_model("scripts.export_model", wildcards.architecture, wildcards.method),
    shell:
        "job {params.last_failure} {log} {input:q} --"
        " python -m scripts.export_model --data {params.data} --weights {input.weights} --predictions {input.predictions}"
        " --training {input.training}"
        " --calibration-images {params.calibration_images} --code {params.code} --output {params.folder}"


# Of a machine of up to eight cores it has all, so that no other job of this run slows it down.
rule measure_model:
    input:
        onnx=EXPORT_FILES["onnx"],
        int8=EXPORT_FILES["int8"],
    output:
        SPEED,
    log:
        f"{LOGS}/measure_model/{MODEL_NAME}.log",
    conda:
        "../../envs/export.yaml"
    threads: 8
    resources:
        runtime=30,
    params:
        code=code_version("scripts.measure_model"),
    shell:
        "python -m scripts.measure_model --models {input.onnx} {input.int8} --threads {threads}"
        " --output {output} > {log} 2>&1"


rule make_model_card:
    input:
        unpack(rerun_where_nothing_is_noted(CARD_FILES["markdown"], beside)),
        metrics=METRICS,
        record=EXPORT_FILES["record"],
        speed=SPEED,
    output:
        **CARD_FILES,
    log:
        f"{LOGS}/make_model_card/{MODEL_NAME}.log",
    conda:
        "../../envs/export.yaml"
    params:
        exported=subpath(input.record, parent=True),
        base=beside_options,
        settings=lambda wildcards: as_json(STUDY.export.for_cards()),
        code=code_version("scripts.make_model_card"),
    shell:
        "python -m scripts.make_model_card --metrics {input.metrics} --exported {params.exported}"
        " --speed {input.speed} {params.base} --settings {params.settings:q}"
        " --markdown {output.markdown} --html {output.html} > {log} 2>&1"


rule describe_dataset:
    input:
        **DATA_FILES,
    output:
        CROISSANT,
    log:
        f"{LOGS}/describe_dataset/{{dataset}}{{draw}}.log",
    conda:
        "../../envs/export.yaml"
    params:
        data=subpath(input.info, parent=True),
        terms=terms_option,
        code=code_version("scripts.describe_dataset"),
    shell:
        "python -m scripts.describe_dataset --data {params.data} --name {wildcards.dataset} {params.terms}"
        " --output {output} > {log} 2>&1"

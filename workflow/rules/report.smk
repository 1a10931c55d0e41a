# Tables and figures. They are made anew within seconds, so nothing is kept of a job that fails: Snakemake removes what
# it has written, and plans it again.
RUNS = f"{TABLES}/runs.csv"
SUMMARY = f"{TABLES}/summary.csv"
PAIRED = f"{TABLES}/paired.csv"
CRITERIA = f"{TABLES}/criteria.csv"
VALIDATION = f"{TABLES}/validation.csv"
SEARCH = f"{TABLES}/search.csv"
FEATURES_TABLE = f"{TABLES}/features.csv"
METHODS = f"{TABLES}/methods.csv"
CELLS = f"{TABLES}/cells.csv"
CONCLUSIONS = f"{TABLES}/paper_conclusions.csv"


# The first of the tables; most others, and so the figures, are made anew with it.
rule aggregate_results:
    input:
        rerun_where_nothing_is_noted(RUNS, lambda wildcards: paths(METRICS, MAIN_GRIDS)),
    output:
        runs=report(RUNS, caption="../report/runs.rst", category="Tables"),
        summary=report(SUMMARY, caption="../report/summary.rst", category="Tables"),
        paired=report(PAIRED, caption="../report/paired.rst", category="Tables"),
        markdown=f"{TABLES}/paired.md",
        validation=(
            report(
                VALIDATION,
                caption="../report/validation.rst",
                category="Tables",
            )
            if STUDY.has_validation
            else []
        ),
    log:
        f"{LOGS}/aggregate_results.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        validation=lambda wildcards, output: (
            f"--validation {output.validation}" if output.validation else ""
        ),
        code=code_version("scripts.aggregate_results"),
    shell:
        "python -m scripts.aggregate_results --metrics {params.metrics:q} --grids {params.grids:q}"
        " --runs {output.runs} --summary {output.summary} --paired {output.paired}"
        " --paired-markdown {output.markdown} {params.validation} > {log} 2>&1"


rule make_table:
    input:
        summary=SUMMARY,
    output:
        csv=report(f"{TABLES}/table1.csv", caption="../report/table1.rst", category="Tables"),
        markdown=f"{TABLES}/table1.md",
        tex=f"{TABLES}/table1.tex",
    log:
        f"{LOGS}/make_table.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.make_table"),
    shell:
        "python -m scripts.make_table --summary {input.summary} --csv {output.csv}"
        " --markdown {output.markdown} --tex {output.tex} > {log} 2>&1"


rule make_criteria:
    input:
        rerun_where_nothing_is_noted(CRITERIA, lambda wildcards: paths(METRICS, MAIN_GRIDS)),
    output:
        report(CRITERIA, caption="../report/criteria.rst", category="Tables"),
    log:
        f"{LOGS}/make_criteria.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        code=code_version("scripts.make_criteria"),
    shell:
        "python -m scripts.make_criteria --metrics {params.metrics:q} --grids {params.grids:q}"
        " --csv {output} > {log} 2>&1"


rule make_features:
    input:
        rerun_where_nothing_is_noted(FEATURES_TABLE, lambda wildcards: paths(METRICS, MAIN_GRIDS)),
        paths(FEATURES, MAIN_GRIDS),
    output:
        report(
            FEATURES_TABLE,
            caption="../report/features.rst",
            category="Tables",
        ),
    log:
        f"{LOGS}/make_features.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        features=lambda wildcards: FEATURES,
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        code=code_version("scripts.make_features"),
    shell:
        "python -m scripts.make_features --metrics {params.metrics:q} --features {params.features:q}"
        " --grids {params.grids:q} --csv {output} > {log} 2>&1"


# The choice reads the scores on the validation split alone.
rule choose_settings:
    input:
        validation=VALIDATION if STUDY.search else [],
    output:
        report(SEARCH, caption="../report/search.rst", category="Tables"),
    log:
        f"{LOGS}/choose_settings.log",
    conda:
        "../../envs/report.yaml"
    params:
        searches=as_ordered_json([search.to_json() for search in STUDY.searches]),
        architectures=STUDY.architectures,
        code=code_version("scripts.choose_settings"),
    shell:
        "python -m scripts.choose_settings --validation {input.validation} --searches {params.searches:q}"
        " --architectures {params.architectures} --csv {output} > {log} 2>&1"


rule report_search:
    input:
        search=SEARCH,
        summary=SUMMARY,
    output:
        f"{TABLES}/search.md",
    log:
        f"{LOGS}/report_search.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.report_search"),
    shell:
        "python -m scripts.report_search --search {input.search} --summary {input.summary}"
        " --markdown {output} > {log} 2>&1"


rule make_ablations:
    input:
        paths(METRICS, ALL_GRIDS),
        # not read: this one follows where `aggregate_results` makes the other tables anew
        RUNS,
    output:
        csv=report(
            f"{TABLES}/ablations.csv",
            caption="../report/ablations.rst",
            category="Tables",
        ),
        markdown=f"{TABLES}/ablations.md",
        tex=f"{TABLES}/ablations.tex",
    log:
        f"{LOGS}/make_ablations.log",
    conda:
        "../../envs/report.yaml"
    resources:
        # a third of a second for each pair of models
        runtime=120,
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(ALL_GRIDS),
        sweeps=lambda wildcards: as_json(STUDY.sweeps_of_columns),
        code=code_version("scripts.make_ablations"),
    shell:
        "python -m scripts.make_ablations --metrics {params.metrics:q} --grids {params.grids:q}"
        " --sweeps {params.sweeps:q} --csv {output.csv} --markdown {output.markdown} --tex {output.tex} > {log} 2>&1"


rule rank_methods:
    input:
        paths(METRICS, MAIN_GRIDS),
        # not read: this one follows where `aggregate_results` makes the other tables anew
        RUNS,
    output:
        csv=report(METHODS, caption="../report/methods.rst", category="Tables"),
        markdown=f"{TABLES}/methods.md",
        tex=f"{TABLES}/methods.tex",
        cells=report(CELLS, caption="../report/cells.rst", category="Tables"),
    log:
        f"{LOGS}/rank_methods.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        references=reference_options(),
        code=code_version("scripts.rank_methods"),
    shell:
        "python -m scripts.rank_methods --metrics {params.metrics:q} --grids {params.grids:q} {params.references}"
        " --csv {output.csv} --markdown {output.markdown} --tex {output.tex} --cells {output.cells} > {log} 2>&1"


rule compare_with_paper:
    input:
        summary=SUMMARY,
        paired=PAIRED,
        paper_values=STUDY.paper_values or [],
    output:
        csv=report(
            f"{TABLES}/paper_vs_reproduced.csv",
            caption="../report/paper_vs_reproduced.rst",
            category="Tables",
        ),
        markdown=f"{TABLES}/paper_vs_reproduced.md",
        conclusions=CONCLUSIONS if JUDGES_CONCLUSIONS else [],
    log:
        f"{LOGS}/compare_with_paper.log",
    conda:
        "../../envs/report.yaml"
    params:
        method=paper_method_option(),
        conclusions=lambda wildcards, output: (
            f"--conclusions {output.conclusions}" if output.conclusions else ""
        ),
        code=code_version("scripts.compare_with_paper"),
    shell:
        "python -m scripts.compare_with_paper --summary {input.summary} --paired {input.paired}"
        " --paper-values {input.paper_values:q} {params.method} --csv {output.csv}"
        " --markdown {output.markdown} {params.conclusions} > {log} 2>&1"


rule compare_with_published:
    input:
        summary=SUMMARY,
        published=PUBLISHED_SUMMARY or [],
    output:
        csv=report(
            f"{TABLES}/published_vs_own.csv",
            caption="../report/published_vs_own.rst",
            category="Tables",
        ),
        markdown=f"{TABLES}/published_vs_own.md",
    log:
        f"{LOGS}/compare_with_published.log",
    conda:
        "../../envs/report.yaml"
    params:
        folder=subpath(input.published, ancestor=2),
        code=code_version("scripts.compare_with_published"),
    shell:
        "python -m scripts.compare_with_published --summary {input.summary} --published {params.folder:q}"
        " --csv {output.csv} --markdown {output.markdown} > {log} 2>&1"


rule plot_architecture:
    output:
        pdf=f"{FIGURES}/fig1_architecture.pdf",
        png=report(
            f"{FIGURES}/fig1_architecture.png",
            caption="../report/fig1_architecture.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/plot_architecture.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.plot_architecture"),
    shell:
        "python -m scripts.plot_architecture --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_comparison:
    input:
        summary=SUMMARY,
        paper_values=STUDY.paper_values or [],
    output:
        pdf=f"{FIGURES}/fig{{number}}_{{architecture}}_{{metric}}.pdf",
        png=report(
            f"{FIGURES}/fig{{number}}_{{architecture}}_{{metric}}.png",
            caption="../report/comparison.rst",
            category="Figures",
            labels={"architecture": "{architecture}", "metric": "{metric}"},
        ),
    log:
        f"{LOGS}/plot_comparison/fig{{number}}_{{architecture}}_{{metric}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        paper_values=paper_values_option,
        method=paper_method_option(),
        code=code_version("scripts.plot_comparison"),
    shell:
        "python -m scripts.plot_comparison --summary {input.summary} --architecture {wildcards.architecture}"
        " --metric {wildcards.metric} {params.paper_values} {params.method}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_paper_bars:
    input:
        summary=SUMMARY,
    output:
        pdf=f"{FIGURES}/fig{{number}}_{{architecture}}_{{metric}}_as_in_paper.pdf",
        png=report(
            f"{FIGURES}/fig{{number}}_{{architecture}}_{{metric}}_as_in_paper.png",
            caption="../report/paper_bars.rst",
            category="Figures",
            labels={"architecture": "{architecture}", "metric": "{metric}"},
        ),
    log:
        f"{LOGS}/plot_paper_bars/fig{{number}}_{{architecture}}_{{metric}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        method=STUDY.paper_method,
        code=code_version("scripts.plot_paper_bars"),
    shell:
        "python -m scripts.plot_paper_bars --summary {input.summary} --architecture {wildcards.architecture}"
        " --metric {wildcards.metric} --method {params.method} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_slopes:
    input:
        paired=PAIRED,
        summary=SUMMARY,
    output:
        pdf=f"{FIGURES}/paired_{{dataset}}.pdf",
        png=report(
            f"{FIGURES}/paired_{{dataset}}.png",
            caption="../report/slopes.rst",
            category="Figures",
            labels={"data set": "{dataset}"},
        ),
    log:
        f"{LOGS}/plot_slopes/{{dataset}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.plot_slopes"),
    shell:
        "python -m scripts.plot_slopes --paired {input.paired} --summary {input.summary}"
        " --dataset {wildcards.dataset} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_tradeoff:
    input:
        methods=METHODS,
    output:
        pdf=f"{FIGURES}/tradeoff_{{dataset}}.pdf",
        png=report(
            f"{FIGURES}/tradeoff_{{dataset}}.png",
            caption="../report/tradeoff.rst",
            category="Figures",
            labels={"data set": "{dataset}"},
        ),
    log:
        f"{LOGS}/plot_tradeoff/{{dataset}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.plot_tradeoff"),
    shell:
        "python -m scripts.plot_tradeoff --methods {input.methods} --dataset {wildcards.dataset}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_cells:
    input:
        cells=CELLS,
        methods=METHODS,
    output:
        pdf=f"{FIGURES}/cells_{{dataset}}_{{architecture}}.pdf",
        png=report(
            f"{FIGURES}/cells_{{dataset}}_{{architecture}}.png",
            caption="../report/cell_map.rst",
            category="Figures",
            labels={"data set": "{dataset}", "architecture": "{architecture}"},
        ),
    log:
        f"{LOGS}/plot_cells/{{dataset}}_{{architecture}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.plot_cells"),
    shell:
        "python -m scripts.plot_cells --cells {input.cells} --methods {input.methods}"
        " --dataset {wildcards.dataset} --architecture {wildcards.architecture}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


# From the models' histories, which are no part of their metrics.
rule plot_training_curves:
    input:
        rerun_where_nothing_is_noted(f"{FIGURES}/training_curves_{{dataset}}.pdf", histories_of),
    output:
        pdf=f"{FIGURES}/training_curves_{{dataset}}.pdf",
        png=report(
            f"{FIGURES}/training_curves_{{dataset}}.png",
            caption="../report/training_curves.rst",
            category="Figures",
            labels={"data set": "{dataset}"},
        ),
    log:
        f"{LOGS}/plot_training_curves/{{dataset}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        histories=lambda wildcards: MODEL_FILES["history"],
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        code=code_version("scripts.plot_training_curves"),
    shell:
        "python -m scripts.plot_training_curves --histories {params.histories:q} --grids {params.grids:q}"
        " --dataset {wildcards.dataset} --pdf {output.pdf} --png {output.png} > {log} 2>&1"


# The only figure with images of a data set: of those that the configuration names.
rule plot_examples:
    input:
        unpack(
            rerun_where_nothing_is_noted(
                f"{FIGURES}/worst_cells_{{dataset}}_{{architecture}}.pdf", models_of_examples
            )
        ),
    output:
        pdf=f"{FIGURES}/worst_cells_{{dataset}}_{{architecture}}.pdf",
        png=report(
            f"{FIGURES}/worst_cells_{{dataset}}_{{architecture}}.png",
            caption="../report/examples.rst",
            category="Figures",
            labels={"data set": "{dataset}", "architecture": "{architecture}"},
        ),
    log:
        f"{LOGS}/plot_examples/{{dataset}}_{{architecture}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        folder=subpath(input.info, parent=True),
        code=code_version("scripts.plot_examples"),
    shell:
        "python -m scripts.plot_examples --data {params.folder} --trainings {input.trainings}"
        " --predictions {input.predictions} --dataset {wildcards.dataset}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_sweep:
    input:
        SEARCH if STUDY.search else [],
        summary=SUMMARY,
    output:
        pdf=f"{FIGURES}/{{sweep}}_sweep.pdf",
        png=report(
            f"{FIGURES}/{{sweep}}_sweep.png",
            caption="../report/sweep.rst",
            category="Figures",
            labels={"setting": "{sweep}"},
        ),
    log:
        f"{LOGS}/plot_sweep/{{sweep}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        setting=lambda wildcards: STUDY.sweep_figures[wildcards.sweep].setting,
        lines=lambda wildcards: as_ordered_json(
            [line.to_json() for line in STUDY.sweep_figures[wildcards.sweep].lines]
        ),
        architectures=STUDY.architectures,
        search=f"--search {SEARCH}" if STUDY.search else "",
        code=code_version("scripts.plot_sweep"),
    shell:
        "python -m scripts.plot_sweep --summary {input.summary} --setting {params.setting}"
        " --lines {params.lines:q} --architectures {params.architectures} {params.search}"
        " --pdf {output.pdf} --png {output.png} > {log} 2>&1"


# All of the above in one file. It reads the metrics too, for what no table has.
rule make_page:
    input:
        paths(METRICS, MAIN_GRIDS),
        unpack(inputs_of_page),
        summary=SUMMARY,
        paired=PAIRED,
    output:
        report(PAGE, caption="../report/page.rst", category="Page"),
    log:
        f"{LOGS}/make_page.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(MAIN_GRIDS),
        options=page_options,
        code=code_of_page(),
    shell:
        "python -m scripts.make_page --metrics {params.metrics:q} --grids {params.grids:q} {params.options}"
        " --summary {input.summary} --paired {input.paired} --html {output} > {log} 2>&1"


# For a data repository: one file, without weights and data sets.
rule archive_study:
    input:
        paths(METRICS, ALL_GRIDS),
        files=inputs_of_archive,
    output:
        ARCHIVE,
    log:
        f"{LOGS}/archive_study.log",
    conda:
        "../../envs/report.yaml"
    params:
        metrics=lambda wildcards: METRICS,
        grids=lambda wildcards: as_json(ALL_GRIDS),
        config=lambda wildcards: as_ordered_json(config_to_publish()),
        study=STUDY.study,
        folder=subpath(output[0], parent=True),
        files=archived_files,
        code=code_version("scripts.archive_study"),
        # not given to the script: of other code, or another commit of it, the archive is made anew
        state=lambda wildcards: as_json([tracked_state(), untracked_code()]),
    shell:
        "python -m scripts.archive_study --metrics {params.metrics:q} --grids {params.grids:q}"
        " --config {params.config:q} --study {params.study} --folder {params.folder} --files {params.files:q}"
        " --archive {output} > {log} 2>&1"

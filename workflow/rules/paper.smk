RUNS = f"{RESULTS}/tables/runs.csv"
PAIRED = f"{RESULTS}/tables/paired.csv"


rule aggregate_results:
    input:
        paths(METRICS, [GRID]),
    output:
        runs=report(update(RUNS), caption="../report/runs.rst", category="Tables"),
        summary=report(
            update(f"{RESULTS}/tables/summary.csv"),
            caption="../report/summary.rst",
            category="Tables",
        ),
        paired=report(update(PAIRED), caption="../report/paired.rst", category="Tables"),
        markdown=update(f"{RESULTS}/tables/paired.md"),
    log:
        f"{LOGS}/aggregate_results.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("aggregate_results"),
        folder=lambda wildcards: f"{RESULTS}/metrics",
        grid=lambda wildcards: as_json(GRID),
        code=code_version("scripts.aggregate_results"),
    message:
        "Gathering the metrics of all models"
    shell:
        "job {params.job} {log} python -m scripts.aggregate_results --metrics {params.folder} --grid {params.grid:q}"
        " --runs {output.runs} --summary {output.summary} --paired {output.paired}"
        " --paired-markdown {output.markdown}"


rule make_table:
    input:
        runs=RUNS,
    output:
        csv=report(
            update(f"{RESULTS}/tables/table1.csv"),
            caption="../report/table1.rst",
            category="Tables",
        ),
        markdown=update(f"{RESULTS}/tables/table1.md"),
        tex=update(f"{RESULTS}/tables/table1.tex"),
    log:
        f"{LOGS}/make_table.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("make_table"),
        code=code_version("scripts.make_table"),
    message:
        "Writing Table I"
    shell:
        "job {params.job} {log} python -m scripts.make_table --runs {input.runs} --csv {output.csv}"
        " --markdown {output.markdown} --tex {output.tex}"


rule make_ablations:
    input:
        paths(METRICS, GRIDS),
        # not read: made anew with the other tables, as by `make figures`
        RUNS,
    output:
        csv=report(
            update(f"{RESULTS}/tables/ablations.csv"),
            caption="../report/ablations.rst",
            category="Tables",
        ),
        markdown=update(f"{RESULTS}/tables/ablations.md"),
        tex=update(f"{RESULTS}/tables/ablations.tex"),
    log:
        f"{LOGS}/make_ablations.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("make_ablations"),
        folder=lambda wildcards: f"{RESULTS}/metrics",
        grids=lambda wildcards: as_json(GRIDS),
        code=code_version("scripts.make_ablations"),
    message:
        "Telling what each part brings"
    shell:
        "job {params.job} {log} python -m scripts.make_ablations --metrics {params.folder} --grids {params.grids:q}"
        " --csv {output.csv} --markdown {output.markdown} --tex {output.tex}"


rule compare_with_paper:
    input:
        runs=RUNS,
        paired=PAIRED,
        paper_values=config["paper_values"] or [],
    output:
        csv=report(
            update(f"{RESULTS}/tables/paper_vs_reproduced.csv"),
            caption="../report/paper_vs_reproduced.rst",
            category="Tables",
        ),
        conclusions=update(f"{RESULTS}/tables/paper_conclusions.csv"),
        markdown=update(f"{RESULTS}/tables/paper_vs_reproduced.md"),
    log:
        f"{LOGS}/compare_with_paper.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("compare_with_paper"),
        method=option_of_method(),
        code=code_version("scripts.compare_with_paper"),
    message:
        "Setting the paper's numbers beside ours"
    shell:
        "job {params.job} {log} python -m scripts.compare_with_paper --runs {input.runs} --paired {input.paired} --paper-values {input.paper_values:q}"
        " {params.method} --csv {output.csv} --conclusions {output.conclusions} --markdown {output.markdown}"


rule plot_architecture:
    output:
        pdf=update(f"{RESULTS}/figures/fig1_architecture.pdf"),
        png=report(
            update(f"{RESULTS}/figures/fig1_architecture.png"),
            caption="../report/fig1_architecture.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/plot_architecture.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("plot_architecture"),
        code=code_version("scripts.plot_architecture"),
    message:
        "Drawing Figure 1"
    shell:
        "job {params.job} {log} python -m scripts.plot_architecture --pdf {output.pdf} --png {output.png}"


rule plot_comparison:
    input:
        runs=RUNS,
        paper_values=config["paper_values"] or [],
    output:
        pdf=update(f"{RESULTS}/figures/fig{{number}}_{{architecture}}_{{metric}}.pdf"),
        png=report(
            update(f"{RESULTS}/figures/fig{{number}}_{{architecture}}_{{metric}}.png"),
            caption="../report/comparison.rst",
            category="Figures",
            labels={"architecture": "{architecture}", "metric": "{metric}"},
        ),
    log:
        f"{LOGS}/plot_comparison/fig{{number}}_{{architecture}}_{{metric}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        job=job("plot_comparison {architecture} {metric}"),
        paper_values=lambda wildcards, input: (
            f"--paper-values {shlex.quote(str(input.paper_values))}" if input.paper_values else ""
        ),
        method=option_of_method(),
        code=code_version("scripts.plot_comparison"),
    message:
        "Drawing Figure {wildcards.number}"
    shell:
        "job {params.job} {log} python -m scripts.plot_comparison --runs {input.runs} --architecture {wildcards.architecture}"
        " --metric {wildcards.metric} {params.paper_values} {params.method} --pdf {output.pdf} --png {output.png}"

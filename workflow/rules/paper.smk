RUNS = f"{RESULTS}/tables/runs.csv"
PAIRED = f"{RESULTS}/tables/paired.csv"


rule aggregate_results:
    input:
        grid(METRICS),
    output:
        runs=report(RUNS, caption="../report/runs.rst", category="Tables"),
        summary=report(
            f"{RESULTS}/tables/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
        ),
        paired=report(PAIRED, caption="../report/paired.rst", category="Tables"),
        markdown=f"{RESULTS}/tables/paired.md",
    log:
        f"{LOGS}/aggregate_results.log",
    conda:
        "../../envs/report.yaml"
    params:
        folder=lambda wildcards: f"{RESULTS}/metrics",
        grid=lambda wildcards: as_json(GRID),
        code=code_version("scripts.aggregate_results"),
    message:
        "Gathering the metrics of all models"
    shell:
        "python -m scripts.aggregate_results --metrics {params.folder} --grid {params.grid:q}"
        " --runs {output.runs} --summary {output.summary} --paired {output.paired}"
        " --paired-markdown {output.markdown} > {log} 2>&1"


rule make_table:
    input:
        runs=RUNS,
    output:
        csv=report(
            f"{RESULTS}/tables/table1.csv",
            caption="../report/table1.rst",
            category="Tables",
        ),
        markdown=f"{RESULTS}/tables/table1.md",
        tex=f"{RESULTS}/tables/table1.tex",
    log:
        f"{LOGS}/make_table.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.make_table"),
    message:
        "Writing Table I"
    shell:
        "python -m scripts.make_table --runs {input.runs} --csv {output.csv}"
        " --markdown {output.markdown} --tex {output.tex} > {log} 2>&1"


rule compare_with_paper:
    input:
        runs=RUNS,
        paired=PAIRED,
        paper_values=config["paper_values"] or [],
    output:
        csv=report(
            f"{RESULTS}/tables/paper_vs_reproduced.csv",
            caption="../report/paper_vs_reproduced.rst",
            category="Tables",
        ),
        conclusions=f"{RESULTS}/tables/paper_conclusions.csv",
        markdown=f"{RESULTS}/tables/paper_vs_reproduced.md",
    log:
        f"{LOGS}/compare_with_paper.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.compare_with_paper"),
    message:
        "Setting the paper's numbers beside ours"
    shell:
        "python -m scripts.compare_with_paper --runs {input.runs} --paired {input.paired} --paper-values {input.paper_values:q}"
        " --csv {output.csv} --conclusions {output.conclusions} --markdown {output.markdown} > {log} 2>&1"


rule plot_architecture:
    output:
        pdf=f"{RESULTS}/figures/fig1_architecture.pdf",
        png=report(
            f"{RESULTS}/figures/fig1_architecture.png",
            caption="../report/fig1_architecture.rst",
            category="Figures",
        ),
    log:
        f"{LOGS}/plot_architecture.log",
    conda:
        "../../envs/report.yaml"
    params:
        code=code_version("scripts.plot_architecture"),
    message:
        "Drawing Figure 1"
    shell:
        "python -m scripts.plot_architecture --pdf {output.pdf} --png {output.png} > {log} 2>&1"


rule plot_comparison:
    input:
        runs=RUNS,
        paper_values=config["paper_values"] or [],
    output:
        pdf=f"{RESULTS}/figures/fig{{number}}_{{architecture}}_{{metric}}.pdf",
        png=report(
            f"{RESULTS}/figures/fig{{number}}_{{architecture}}_{{metric}}.png",
            caption="../report/comparison.rst",
            category="Figures",
            labels={"architecture": "{architecture}", "metric": "{metric}"},
        ),
    log:
        f"{LOGS}/plot_comparison/fig{{number}}_{{architecture}}_{{metric}}.log",
    conda:
        "../../envs/report.yaml"
    params:
        paper_values=lambda wildcards, input: (
            f"--paper-values {shlex.quote(str(input.paper_values))}" if input.paper_values else ""
        ),
        code=code_version("scripts.plot_comparison"),
    message:
        "Drawing Figure {wildcards.number}"
    shell:
        "python -m scripts.plot_comparison --runs {input.runs} --architecture {wildcards.architecture}"
        " --metric {wildcards.metric} {params.paper_values} --pdf {output.pdf} --png {output.png} > {log} 2>&1"

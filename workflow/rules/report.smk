"""One document: tables, figures, and the paper's numbers beside ours."""


rule render_report:
    input:
        unpack(jobs.inputs_report),
        template="reports/template.typ",
    output:
        pdf=paths.report,
        tables=directory(f"{paths.reports}/tables"),
        figures=directory(f"{paths.reports}/figures"),
    log:
        paths.log("render_report", "report"),
    params:
        code=jobs.code("render_report"),
        results=paths.results,
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/render_report.py --cells {input.cells} --metrics {input.metrics}"
        " --results {params.results} --log {log} --output {output}"

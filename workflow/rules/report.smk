"""One document: tables, figures, and the paper's numbers beside ours."""


rule render_report:
    input:
        unpack(jobs.inputs_report),
    output:
        pdf=paths.report,
        tables=directory(f"{paths.reports}/tables"),
        figures=directory(f"{paths.reports}/figures"),
    log:
        paths.log("render_report", "report"),
    conda:
        "../../envs/numeric.yaml"
    params:
        code=jobs.code("render_report"),
        template=jobs.template,
        results=lambda wildcards, input: os.path.dirname(input.cells),
    shell:
        "python $PEFTUQ_SCRIPTS/render_report.py --cells {input.cells} --metrics {input.metrics}"
        " --results {params.results} --pdf {output.pdf} --tables {output.tables} --figures {output.figures} --log {log}"

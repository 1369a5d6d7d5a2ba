"""One document: tables, figures, and the paper's numbers beside ours."""


rule render_report:
    input:
        unpack(jobs.render_report.inputs),
    output:
        pdf=paths.report,
        tables=directory(f"{paths.reports}/tables"),
        figures=directory(f"{paths.reports}/figures"),
    log:
        paths.log("render_report", "report"),
    conda:
        "../../envs/numeric.yaml"
    params:
        code=jobs.render_report.code,
        template=jobs.render_report.template,
        results=results_folder,
    shell:
        "python $PEFTUQ_SCRIPTS/render_report.py --cells {input.cells} --metrics {input.metrics}"
        " --results {params.results} --pdf {output.pdf} --tables {output.tables} --figures {output.figures} --log {log}"

"""One document: tables, figures, and the paper's numbers beside ours; and one page for a browser."""


rule render_report:
    input:
        unpack(jobs.render_report.inputs),
    output:
        pdf=paths.report,
        tables=directory(paths.tables),
        figures=directory(paths.figures),
        files=paths.report_files,
    log:
        paths.log("render_report", "report"),
    conda:
        environment("numeric")
    params:
        code=jobs.render_report.code,
        identity=jobs.render_report.identity,
        template=jobs.render_report.template,
        results=results_folder,
    shell:
        'python "$PEFTUQ_SCRIPTS"/render_report.py --identity {params.identity} --cells {input.cells:q}'
        " --metrics {input.metrics:q} --results {params.results:q} --pdf {output.pdf:q} --tables {output.tables:q} --figures {output.figures:q}"
        " --files {output.files:q} --log {log:q}"


rule render_html:
    input:
        unpack(jobs.render_html.inputs),
    output:
        paths.html_report,
    log:
        paths.log("render_html", "report"),
    conda:
        environment("numeric")
    params:
        code=jobs.render_html.code,
        identity=jobs.render_html.identity,
        assets=jobs.render_html.assets,
        results=results_folder,
    shell:
        'python "$PEFTUQ_SCRIPTS"/render_html.py --identity {params.identity} --cells {input.cells:q}'
        " --metrics {input.metrics:q} --results {params.results:q} --html {output:q} --log {log:q}"

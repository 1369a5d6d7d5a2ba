"""Metrics from per-example scores, and the tables made of them."""


rule evaluate:
    input:
        unpack(jobs.evaluate.inputs),
    output:
        paths.metrics(),
    log:
        paths.log(
            "evaluate", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"
        ),
    conda:
        environment("numeric")
    params:
        spec=jobs.evaluate.spec,
        code=jobs.evaluate.code,
        identity=jobs.evaluate.identity,
        scores=input_flags("scores"),
    shell:
        'python "$PEFTUQ_SCRIPTS"/evaluate.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --samples {input.samples:q} {params.scores} --metrics {output:q} --log {log:q}"


rule compare:
    input:
        jobs.compare.inputs,
    output:
        paths.comparison(),
    log:
        paths.log("compare", "{model}/{dataset}/{recipe}"),
    conda:
        environment("numeric")
    params:
        spec=jobs.compare.spec,
        code=jobs.compare.code,
        identity=jobs.compare.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/compare.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --scores {input:q} --comparison {output:q} --log {log:q}"


localrules:
    list_cells,


rule list_cells:
    output:
        paths.cells,
    log:
        paths.log("list_cells", "cells"),
    params:
        spec=jobs.list_cells.spec,
    run:
        jobs.list_cells.write(output[0], log[0])


rule aggregate:
    input:
        cells=paths.cells,
        metrics=jobs.aggregate.metrics,
    output:
        table=paths.metrics_table,
        csv=paths.metrics_csv,
    log:
        paths.log("aggregate", "metrics"),
    conda:
        environment("numeric")
    params:
        code=jobs.aggregate.code,
        identity=jobs.aggregate.identity,
        results=results_folder,
    shell:
        'python "$PEFTUQ_SCRIPTS"/aggregate.py --identity {params.identity} --cells {input.cells:q}'
        " --results {params.results:q}"
        " --table {output.table:q} --csv {output.csv:q} --log {log:q}"

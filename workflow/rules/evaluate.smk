"""Metrics from per-example scores, and the tables made of them."""


rule evaluate:
    input:
        unpack(jobs.inputs_evaluate),
    output:
        paths.metrics(),
    log:
        paths.log(
            "evaluate", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"
        ),
    conda:
        "../../envs/numeric.yaml"
    params:
        spec=jobs.spec_evaluate,
        code=jobs.code("evaluate"),
        scores=jobs.flags("scores"),
    shell:
        "python $PEFTUQ_SCRIPTS/evaluate.py --spec {params.spec:q} --code {params.code}"
        " --samples {input.samples} {params.scores} --metrics {output} --log {log}"


rule compare:
    input:
        jobs.inputs_compare,
    output:
        paths.comparison(),
    log:
        paths.log("compare", "{model}/{dataset}/{recipe}"),
    conda:
        "../../envs/numeric.yaml"
    params:
        spec=jobs.spec_compare,
        code=jobs.code("compare"),
    shell:
        "python $PEFTUQ_SCRIPTS/compare.py --spec {params.spec:q} --code {params.code}"
        " --scores {input} --comparison {output} --log {log}"


localrules:
    list_cells,


rule list_cells:
    output:
        paths.cells,
    log:
        paths.log("list_cells", "cells"),
    params:
        spec=jobs.digest_cells,
    run:
        jobs.write_cells(output[0], log[0])


rule aggregate:
    input:
        cells=paths.cells,
        metrics=jobs.metrics(),
    output:
        table=paths.metrics_table,
        csv=paths.metrics_csv,
    log:
        paths.log("aggregate", "metrics"),
    conda:
        "../../envs/numeric.yaml"
    params:
        code=jobs.code("aggregate"),
        # Beside its cells: a storage puts both where it likes.
        results=lambda wildcards, input: os.path.dirname(input.cells),
    shell:
        "python $PEFTUQ_SCRIPTS/aggregate.py --cells {input.cells} --results {params.results}"
        " --table {output.table} --csv {output.csv} --log {log}"

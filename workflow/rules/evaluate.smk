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
        scores=lambda wildcards, input: input.get("scores", "none"),
    shell:
        "python $PEFTUQ_SCRIPTS/evaluate.py --spec {params.spec:q} --code {params.code}"
        " --samples {input.samples} --scores {params.scores} --log {log} --output {output}"


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
        " --scores {input} --log {log} --output {output}"


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
    shell:
        "python $PEFTUQ_SCRIPTS/aggregate.py --cells {input.cells}"
        " --log {log} --output {output}"

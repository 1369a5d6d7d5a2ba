"""Metrics from per-example scores, and the tables made of them."""


rule evaluate:
    input:
        unpack(jobs.inputs_evaluate),
    output:
        paths.metrics(),
    log:
        paths.log("evaluate", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"),
    params:
        spec=jobs.spec_evaluate,
        code=jobs.code("evaluate"),
        scores=lambda wildcards, input: input.get("scores", "none"),
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/evaluate.py --spec {params.spec:q} --samples {input.samples}"
        " --scores {params.scores} --log {log} --output {output}"


rule compare:
    input:
        jobs.inputs_compare,
    output:
        paths.comparison(),
    log:
        paths.log("compare", "{model}/{dataset}/{recipe}"),
    params:
        spec=jobs.spec_compare,
        code=jobs.code("compare"),
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/compare.py --spec {params.spec:q} --log {log} --output {output}"


localrules:
    list_cells,


rule list_cells:
    output:
        paths.cells,
    params:
        spec=jobs.digest_cells,
    run:
        jobs.write_cells(output[0])


rule aggregate:
    input:
        cells=paths.cells,
        metrics=jobs.metrics(),
    output:
        table=paths.metrics_table,
        csv=paths.metrics_csv,
    log:
        paths.log("aggregate", "metrics"),
    params:
        code=jobs.code("aggregate"),
        results=paths.results,
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/aggregate.py --cells {input.cells} --results {params.results}"
        " --log {log} --output {output}"

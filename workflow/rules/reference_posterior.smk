"""How good are ensembles as posteriors? Measured where the exact one can be had: `snakemake … gold`."""


localrules:
    gold,


rule gold:
    input:
        jobs.compare_posteriors.outputs(),


rule compare_posteriors:
    input:
        paths.records(),
    output:
        paths.posterior_comparison(),
    log:
        paths.log("compare_posteriors", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        environment("gold")
    params:
        spec=jobs.compare_posteriors.spec,
        code=jobs.compare_posteriors.code,
        identity=jobs.compare_posteriors.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/compare_posteriors.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --records {input:q} --comparison {output:q} --log {log:q}"

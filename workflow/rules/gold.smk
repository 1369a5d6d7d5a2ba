"""How good are ensembles as posteriors? Measured where the exact one can be had: `snakemake … gold`."""


localrules:
    gold,


rule gold:
    input:
        jobs.gold(),


rule gold_standard:
    input:
        paths.records(),
    output:
        paths.gold(),
    log:
        paths.log("gold_standard", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        "../../envs/gold.yaml"
    params:
        spec=jobs.spec_gold,
        code=jobs.code("gold"),
    shell:
        "python $PEFTUQ_SCRIPTS/gold.py --spec {params.spec:q} --code {params.code}"
        " --records {input} --comparison {output} --log {log}"

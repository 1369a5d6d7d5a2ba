"""Predictive distributions and uncertainty scores from records alone: no model is loaded."""


rule predict:
    input:
        records=jobs.inputs_pool,
    output:
        paths.samples(),
    log:
        paths.log("predict", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}"),
    params:
        spec=jobs.spec_pool,
        code=jobs.code_pool,
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/predict.py --spec {params.spec:q} --records {input.records}"
        " --log {log} --output {output}"


rule fit_baselines:
    input:
        jobs.inputs_samples,
    output:
        paths.scores(),
    log:
        paths.log("fit_baselines", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"),
    params:
        spec=jobs.spec_score,
        code=jobs.code_score,
    threads: study.config.threads
    conda:
        "../../envs/numeric.yaml"
    shell:
        "python workflow/scripts/score.py --spec {params.spec:q} --input {input}"
        " --threads {threads} --log {log} --output {output}"


use rule fit_baselines as fit_adue with:
    output:
        paths.scores(score="adue"),
    log:
        paths.log("fit_adue", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/adue"),
    wildcard_constraints:
        predictive="point",
    conda:
        "../../envs/torch.yaml"


ruleorder: fit_adue > fit_baselines

"""Predictive distributions and uncertainty scores from records alone: no model is loaded."""


rule predict:
    input:
        jobs.inputs_pool,
    output:
        paths.samples(),
    log:
        paths.log("predict", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}"),
    wildcard_constraints:
        predictive=jobs.predictives_that("predict"),
    conda:
        "../../envs/numeric.yaml"
    params:
        spec=jobs.spec_pool,
        code=jobs.code_pool,
    shell:
        "python $PEFTUQ_SCRIPTS/predict.py --spec {params.spec:q} --code {params.code}"
        " --inputs {input} --samples {output} --log {log}"


rule fit_baselines:
    input:
        jobs.inputs_samples,
    output:
        paths.scores(),
    log:
        paths.log(
            "fit_baselines",
            "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}",
        ),
    wildcard_constraints:
        score=jobs.scores_in("numeric"),
    conda:
        "../../envs/numeric.yaml"
    threads: study.config.threads
    params:
        spec=jobs.spec_score,
        code=jobs.code_score,
    shell:
        "python $PEFTUQ_SCRIPTS/score.py --spec {params.spec:q} --code {params.code}"
        " --samples {input} --threads {threads} --scores {output} --log {log}"


use rule fit_baselines as fit_adue with:
    log:
        paths.log(
            "fit_adue", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"
        ),
    wildcard_constraints:
        score=jobs.scores_in("torch"),
    conda:
        "../../envs/torch.yaml"


rule trace:
    input:
        jobs.inputs_trace,
    output:
        curves=paths.trace(),
        examples=paths.trace_examples(),
    log:
        paths.log("trace", "{model}/{dataset}/{recipe}"),
    conda:
        "../../envs/numeric.yaml"
    params:
        spec=jobs.spec_trace,
        code=jobs.code("trace"),
    shell:
        "python $PEFTUQ_SCRIPTS/trace.py --spec {params.spec:q} --code {params.code}"
        " --epochs {input} --curves {output.curves} --examples {output.examples} --log {log}"

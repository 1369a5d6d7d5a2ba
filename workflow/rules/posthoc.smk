"""Predictive distributions and uncertainty scores from records alone: no model is loaded."""


rule predict_from_records:
    input:
        jobs.predict_from_records.inputs,
    output:
        samples=paths.samples(),
        facts=paths.facts(paths.samples()),
    log:
        paths.log(
            "predict_from_records",
            "{model}/{dataset}/{recipe}/seed{seed}/{predictive}",
        ),
    wildcard_constraints:
        predictive=jobs.predict_from_records.predictives,
    conda:
        environment("numeric")
    params:
        spec=jobs.predict_from_records.spec,
        code=jobs.predict_from_records.code,
        identity=jobs.predict_from_records.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/predict_from_records.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --inputs {input:q} --samples {output.samples:q} --facts {output.facts:q} --log {log:q}"


rule fit_baselines:
    input:
        jobs.fit_scores.inputs,
    output:
        scores=paths.scores(),
        facts=paths.facts(paths.scores()),
    log:
        paths.log(
            "fit_baselines",
            "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}",
        ),
    wildcard_constraints:
        score=jobs.fit_scores.scores("fit_baselines"),
    conda:
        environment("numeric")
    threads: study.config.threads
    params:
        spec=jobs.fit_scores.spec,
        code=jobs.fit_scores.code,
        identity=jobs.fit_scores.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/fit_scores.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --samples {input:q} --threads {threads} --scores {output.scores:q} --facts {output.facts:q} --log {log:q}"


use rule fit_baselines as fit_adue with:
    log:
        paths.log(
            "fit_adue", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}/{score}"
        ),
    wildcard_constraints:
        score=jobs.fit_scores.scores("fit_adue"),
    conda:
        environment("torch")


rule trace:
    input:
        jobs.trace.inputs,
    output:
        curves=paths.trace(),
        examples=paths.trace_examples(),
    log:
        paths.log("trace", "{model}/{dataset}/{recipe}"),
    conda:
        environment("numeric")
    params:
        spec=jobs.trace.spec,
        code=jobs.trace.code,
        identity=jobs.trace.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/trace.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --epochs {input:q} --curves {output.curves:q} --examples {output.examples:q} --log {log:q}"

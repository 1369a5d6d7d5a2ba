"""Predictive distributions around a saved adapter: its model runs again, nothing is trained."""


rule predict_with_model:
    input:
        unpack(jobs.predict_with_model.inputs),
        model_files=ancient(paths.model_files()),
    output:
        samples=paths.samples(),
        facts=paths.facts(paths.samples()),
    log:
        paths.log(
            "predict_with_model", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}"
        ),
    wildcard_constraints:
        predictive=jobs.predict_with_model.predictives,
    priority: 1
    conda:
        environment("torch")
    threads: study.config.threads
    params:
        spec=jobs.predict_with_model.spec,
        code=jobs.predict_with_model.code,
        identity=jobs.predict_with_model.identity,
        adapter=input_flags("adapter", "adapter_config", "train"),
    shell:
        'python "$PEFTUQ_SCRIPTS"/predict_with_model.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --model {input.model:q} {params.adapter} --data {input.data:q}"
        " --threads {threads} --samples {output.samples:q} --facts {output.facts:q} --log {log:q}"


rule fit_laplace:
    input:
        unpack(jobs.fit_laplace.inputs),
        model_files=ancient(paths.model_files()),
    output:
        gaussians=paths.laplace(),
        facts=paths.facts(paths.laplace()),
    log:
        paths.log("fit_laplace", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        environment("torch")
    threads: study.config.threads
    params:
        spec=jobs.fit_laplace.spec,
        code=jobs.fit_laplace.code,
        identity=jobs.fit_laplace.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/fit_laplace.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --model {input.model:q} --adapter {input.adapter:q} --adapter-config {input.adapter_config:q}"
        " --train {input.train:q} --data {input.data:q} --threads {threads}"
        " --gaussians {output.gaussians:q} --facts {output.facts:q} --log {log:q}"

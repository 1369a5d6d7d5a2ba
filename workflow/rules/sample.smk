"""Predictive distributions around a saved adapter: the model is asked again, nothing is trained."""


rule sample:
    input:
        unpack(jobs.inputs_sample),
        model_files=ancient(paths.model_files()),
    output:
        samples=paths.samples(),
        facts=paths.duration(paths.samples()),
    log:
        paths.log("sample", "{model}/{dataset}/{recipe}/seed{seed}/{predictive}"),
    wildcard_constraints:
        predictive=jobs.predictives_that("sample"),
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: study.config.threads
    params:
        spec=jobs.spec_sample,
        code=jobs.code_sample,
        adapter=jobs.flags("adapter", "adapter_config"),
    shell:
        "python $PEFTUQ_SCRIPTS/sample.py --spec {params.spec:q} --code {params.code}"
        " --model {input.model} {params.adapter} --data {input.data}"
        " --threads {threads} --samples {output.samples} --facts {output.facts} --log {log}"


rule fit_laplace:
    input:
        unpack(jobs.inputs_laplace),
        model_files=ancient(paths.model_files()),
    output:
        gaussians=paths.laplace(),
        facts=paths.duration(paths.laplace()),
    log:
        paths.log("fit_laplace", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: study.config.threads
    params:
        spec=jobs.spec_laplace,
        code=jobs.code_adapter("fit_laplace"),
    shell:
        "python $PEFTUQ_SCRIPTS/fit_laplace.py --spec {params.spec:q} --code {params.code}"
        " --model {input.model} --adapter {input.adapter} --adapter-config {input.adapter_config}"
        " --train {input.train} --data {input.data} --threads {threads}"
        " --gaussians {output.gaussians} --facts {output.facts} --log {log}"

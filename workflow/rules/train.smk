"""Adapters and what they say of every example."""


rule train_lora:
    input:
        unpack(jobs.inputs_train),
        model_files=ancient(paths.model_files()),
    output:
        weights=paths.adapter(),
        config=paths.adapter_config(),
        facts=paths.training(),
        history=paths.training_log(),
    log:
        paths.log("train_lora", "{model}/{dataset}/{recipe}/seed{seed}"),
    wildcard_constraints:
        recipe=jobs.recipes_that("train_lora"),
    priority: 2  # the longest jobs, on which all others wait
    conda:
        "../../envs/torch.yaml"
    threads: study.config.threads
    params:
        spec=jobs.spec_train,
        code=jobs.code_adapter("train"),
        checkpoint=paths.checkpoint(),
        epochs=lambda wildcards, output: flag("epochs", output),
    shell:
        # exec: Slurm signals every process of a job, and a shell in between would die and take the training along.
        "exec python $PEFTUQ_SCRIPTS/train.py --spec {params.spec:q} --code {params.code}"
        " --model {input.model} --train {input.train} --valid {input.valid} --evals {input.evals}"
        " --threads {threads} --checkpoint {params.checkpoint} --weights {output.weights} --config {output.config}"
        " --facts {output.facts} --history {output.history} {params.epochs} --log {log}"


# A member is its recipe's adapter of that seed, with what it said after every epoch.
use rule train_lora as train_ensemble_member with:
    output:
        weights=paths.adapter(),
        config=paths.adapter_config(),
        facts=paths.training(),
        history=paths.training_log(),
        epochs=paths.epochs(),
    log:
        paths.log("train_ensemble_member", "{model}/{dataset}/{recipe}/seed{seed}"),
    wildcard_constraints:
        recipe=jobs.recipes_that("train_ensemble_member"),


use rule train_lora as train_mixlora with:
    log:
        paths.log("train_mixlora", "{model}/{dataset}/{recipe}/seed{seed}"),
    wildcard_constraints:
        recipe=jobs.recipes_that("train_mixlora"),


rule extract:
    input:
        unpack(jobs.inputs_extract),
        model_files=ancient(paths.model_files()),
    output:
        records=paths.records(),
        facts=paths.duration(paths.records()),
    log:
        paths.log("extract", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        "../../envs/torch.yaml"
    threads: study.config.threads
    params:
        spec=jobs.spec_extract,
        code=jobs.code_adapter("extract"),
        adapter=jobs.flags("adapter", "adapter_config"),
    shell:
        "python $PEFTUQ_SCRIPTS/extract.py --spec {params.spec:q} --code {params.code}"
        " --model {input.model} {params.adapter} --data {input.data}"
        " --threads {threads} --records {output.records} --facts {output.facts} --log {log}"

"""Adapters, and their records of every example."""


rule train_lora:
    input:
        unpack(jobs.train.inputs),
        model_files=ancient(paths.model_files()),
    output:
        weights=paths.adapter(),
        config=paths.adapter_config(),
        facts=paths.training(),
        history=paths.training_log(),
    log:
        paths.log("train_lora", "{model}/{dataset}/{recipe}/seed{seed}"),
    wildcard_constraints:
        recipe=jobs.train.recipes("train_lora"),
    priority: 2  # the longest jobs, on which all others wait
    conda:
        environment("torch")
    threads: study.config.threads  # of each process
    resources:
        gpu=jobs.train.gpus,
        cpus_per_task=lambda wildcards, threads: threads * jobs.train.gpus(wildcards),
    params:
        spec=jobs.train.spec,
        code=jobs.train.code,
        identity=jobs.train.identity,
        checkpoint=paths.checkpoint(),
        epochs=output_flags("epochs"),
    shell:
        # exec: Slurm signals every process of a job, and a shell in between would die and take the training along.
        # With more than one GPU the script becomes a launcher of as many processes.
        'exec python "$PEFTUQ_SCRIPTS"/train.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --model {input.model:q} --train {input.train:q} --valid {input.valid:q} --evals {input.evals:q}"
        " --threads {threads} --checkpoint {params.checkpoint:q} --weights {output.weights:q}"
        " --config {output.config:q} --facts {output.facts:q} --history {output.history:q} {params.epochs} --log {log:q}"


# A member is its recipe's adapter of that seed, with its records after every epoch.
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
        recipe=jobs.train.recipes("train_ensemble_member"),


use rule train_lora as train_mixlora with:
    log:
        paths.log("train_mixlora", "{model}/{dataset}/{recipe}/seed{seed}"),
    wildcard_constraints:
        recipe=jobs.train.recipes("train_mixlora"),


rule extract:
    input:
        unpack(jobs.extract.inputs),
        model_files=ancient(paths.model_files()),
    output:
        records=paths.records(),
        facts=paths.facts(paths.records()),
    log:
        paths.log("extract", "{model}/{dataset}/{recipe}/seed{seed}"),
    priority: 1
    conda:
        environment("torch")
    threads: study.config.threads
    params:
        spec=jobs.extract.spec,
        code=jobs.extract.code,
        identity=jobs.extract.identity,
        adapter=input_flags("adapter", "adapter_config"),
    shell:
        'python "$PEFTUQ_SCRIPTS"/extract.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --model {input.model:q} {params.adapter} --data {input.data:q}"
        " --threads {threads} --records {output.records:q} --facts {output.facts:q} --log {log:q}"

"""Weights and datasets: fetched on the submitting host, prepared anywhere.

The provenance of what was fetched decides whether its readers run again; its files are ancient to them.
"""


localrules:
    fetch_model,
    fetch_data,


rule fetch_model:
    output:
        provenance=paths.model(),
        files=directory(paths.model_files()),
    log:
        paths.log("fetch_model", "{model}"),
    priority: 3  # a job does not lend its priority to those that it waits for
    conda:
        "../../envs/torch.yaml"
    params:
        spec=jobs.fetch_model.spec,
        code=jobs.fetch_model.code,
    shell:
        "HF_HUB_OFFLINE=0 python $PEFTUQ_SCRIPTS/fetch_model.py --spec {params.spec:q}"
        ' --downloads "$PEFTUQ_DOWNLOADS" --log {log}'
        " --provenance {output.provenance} --files {output.files}"


rule fetch_data:
    input:
        local(jobs.fetch_data.inputs),
    output:
        provenance=paths.source(),
        files=directory(paths.source_files()),
    log:
        paths.log("fetch_data", "{source}"),
    priority: 3
    conda:
        "../../envs/torch.yaml"
    params:
        spec=jobs.fetch_data.spec,
        code=jobs.fetch_data.code,
    shell:
        "HF_HUB_OFFLINE=0 python $PEFTUQ_SCRIPTS/fetch_data.py --spec {params.spec:q}"
        ' --downloads "$PEFTUQ_DOWNLOADS" --log {log}'
        " --provenance {output.provenance} --files {output.files}"


rule prepare_data:
    input:
        source=jobs.prepare_data.source,
        files=ancient(jobs.prepare_data.files),
    output:
        train=paths.data("train"),
        valid=paths.data("valid"),
        test=paths.data("test"),
    log:
        paths.log("prepare_data", "{dataset}"),
    priority: 3
    conda:
        "../../envs/numeric.yaml"
    params:
        spec=jobs.prepare_data.spec,
        code=jobs.prepare_data.code,
    shell:
        "python $PEFTUQ_SCRIPTS/prepare_data.py --spec {params.spec:q} --code {params.code}"
        " --source {input.source} --train {output.train} --valid {output.valid} --test {output.test} --log {log}"

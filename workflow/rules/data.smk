"""Weights and datasets: fetched on the submitting host, prepared anywhere.

The provenance of what was fetched decides whether its readers run again; its files are ancient to them.
"""


localrules:
    fetch_model,
    fetch_data,


rule fetch_model:
    input:
        local(jobs.fetch_model.inputs),
    output:
        provenance=paths.model(),
        files=directory(paths.model_files()),
    log:
        paths.log("fetch_model", "{model}"),
    priority: 3  # a job does not lend its priority to those that it waits for
    conda:
        environment("torch")
    params:
        spec=jobs.fetch_model.spec,
        code=jobs.fetch_model.code,
        identity=jobs.fetch_model.identity,
    shell:
        'HF_HUB_OFFLINE=0 python "$PEFTUQ_SCRIPTS"/fetch_model.py --spec {params.spec:q} --identity {params.identity}'
        ' --downloads "$PEFTUQ_DOWNLOADS" --log {log:q}'
        " --provenance {output.provenance:q} --files {output.files:q}"


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
        environment("torch")
    params:
        spec=jobs.fetch_data.spec,
        code=jobs.fetch_data.code,
        identity=jobs.fetch_data.identity,
    shell:
        'HF_HUB_OFFLINE=0 python "$PEFTUQ_SCRIPTS"/fetch_data.py --spec {params.spec:q} --identity {params.identity}'
        ' --downloads "$PEFTUQ_DOWNLOADS" --log {log:q}'
        " --provenance {output.provenance:q} --files {output.files:q}"


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
        environment("numeric")
    params:
        spec=jobs.prepare_data.spec,
        code=jobs.prepare_data.code,
        identity=jobs.prepare_data.identity,
    shell:
        'python "$PEFTUQ_SCRIPTS"/prepare_data.py --spec {params.spec:q} --code {params.code}'
        " --identity {params.identity}"
        " --source {input.source:q} --train {output.train:q} --valid {output.valid:q} --test {output.test:q}"
        " --log {log:q}"

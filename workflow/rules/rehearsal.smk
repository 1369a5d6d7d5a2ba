"""The run's GPU jobs on tensors without data, before a GPU is there: `snakemake rehearse`."""


localrules:
    rehearse,
    list_gpu_jobs,


rule list_gpu_jobs:
    output:
        paths.gpu_jobs,
    log:
        paths.log("list_gpu_jobs", "gpu_jobs"),
    params:
        spec=lambda wildcards: requests.digest(jobs),
    run:
        requests.write(jobs, output[0], log[0])


rule rehearse:
    input:
        paths.gpu_jobs,
    output:
        table=paths.rehearsal_table,
        text=paths.rehearsal_text,
    log:
        paths.log("rehearse", "rehearsal"),
    conda:
        environment("torch")
    threads: 64  # that is, all cores there are
    params:
        code=lambda wildcards: jobs.context.code(
            "rehearse", requests.plugins("adapters", "predictives", "scores")
        ),
        results=lambda wildcards, input: os.path.dirname(input[0]),
    shell:
        'python "$PEFTUQ_SCRIPTS"/rehearse.py --requests {input:q} --results {params.results:q}'
        " --processes {threads} --table {output.table:q} --text {output.text:q} --log {log:q}"

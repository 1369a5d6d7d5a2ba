"""Without a shared file system: profiles of executors plan the run, and a bucket holds all that jobs make and need."""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest
from checkout import GRID, Checkout
from moto.server import ThreadedMotoServer
from nano import POOLED, SCORED, Nano

PROFILES = {  # profile: how a training's GPU is asked for
    "kubernetes": "gpu=1, gpu_manufacturer=nvidia",
    "googlebatch": "nvidia_gpu=nvidia-a100-80gb",
    "awsbatch": "_gpus=1",
}
BUCKET, RUN = "peftuq-test", "run"
THREADS = "--force-use-threads"  # the plug-ins are not in the environment here: a process of its own would miss them
STORAGE = [
    *("--profile", "local", "--cores", "2", "--shared-fs-usage", "none", THREADS),
    *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/{RUN}"),
]
SUITE = {  # every way to ask a model, and every section of the report
    "version": 1,
    "title": "Tiny",
    "sections": ["adue", "ensembles", "uq4ct"],
    "grids": [
        {**SCORED, "seeds": 1, "predictives": ["point", "temperature", "laplace", "spuq-2"]},
        {**POOLED, "predictives": ["ensemble-2"]},
    ],
}
ADAPTER = {"adapter_model.safetensors", "adapter_config.json", "training.json", "train_log.jsonl"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A local S3 server and its address."""
    logging.getLogger("werkzeug").disabled = True  # one line per request
    running = ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def copy(tmp_path) -> Checkout:
    found = Checkout(tmp_path)
    found.suite({**GRID, "seeds": 1})
    return found


def snakemake(copy: Checkout, server: str, *arguments: str) -> str:
    keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": server}
    command = [sys.executable, "-m", "snakemake", *arguments]
    run = subprocess.run(command, cwd=copy.folder, env={**os.environ, **keys}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def stored(server: str) -> dict[str, bytes]:
    """Contents of the bucket below the run's prefix, by path in the run."""
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    bucket = boto3.resource("s3", endpoint_url=server, region_name="us-east-1", **keys).Bucket(BUCKET)
    found = bucket.objects.filter(Prefix=f"{RUN}/")
    return {object.key.removeprefix(f"{RUN}/"): object.get()["Body"].read() for object in found}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_plans_every_job(copy, server, profile):
    printed = snakemake(copy, server, "-n", "--profile", f"profiles/{profile}", "-j", "8")
    assert "s3://change-me/peftuq/results/metrics.csv (send to storage)" in printed
    (training,) = (job for job in printed.split("\n\n") if "rule train_lora:" in job)
    assert PROFILES[profile] in training
    assert not (copy.folder / "results").exists()


@pytest.mark.workflow
def test_data_are_prepared_into_a_bucket(copy, server):
    target = "results/data/snippets2/train.parquet"
    snakemake(copy, server, target, *STORAGE)
    assert {f"results/data/snippets2/{split}.parquet" for split in ("train", "valid", "test")} <= stored(server).keys()
    assert not list((copy.folder / "results").rglob("*.parquet"))
    assert "Nothing to be done" in snakemake(copy, server, target, *STORAGE)


def forget(checkout: Checkout) -> None:
    """Leave nothing of a run but the bucket: the next job finds what one on another machine would find."""
    shutil.rmtree(checkout.folder / ".snakemake" / "storage")
    shutil.rmtree(checkout.folder / "results")


def tables(files: dict[str, bytes]) -> dict[str, str]:
    """Text of the report's tables, numbers aside: those of the metrics are compared elsewhere, and times differ."""
    found = {name: text.decode() for name, text in files.items() if name.startswith("reports/tables/")}
    return {name: re.sub(r"[\d.]+", "0", text) for name, text in found.items() if name.endswith(".csv")}


@pytest.mark.workflow
def test_a_whole_run_needs_the_bucket_alone(tmp_path, server):
    plain, away = (Nano(tmp_path / name, "bf16") for name in ("plain", "away"))
    for checkout in (plain, away):
        checkout.write("config/suites/tiny.yaml", SUITE)
    done = plain.run(THREADS)
    assert done.returncode == 0, done.stdout + done.stderr
    trained = [f"nano_decoder/words_choice/member/seed{seed}" for seed in (0, 1)]
    trained.append("nano_encoder/words/plain/seed0")

    snakemake(away, server, *(f"results/adapters/{adapter}/training.json" for adapter in trained), *STORAGE)
    half = stored(server).keys()
    assert {f"results/adapters/{adapter}/{file}" for adapter in trained for file in ADAPTER} <= half
    assert {f"results/models/nano_encoder/{file}" for file in ("provenance.json", "files/model.safetensors")} <= half
    forget(away)
    printed = snakemake(away, server, *STORAGE)
    assert "rule train_" not in printed and "rule fetch_model" not in printed
    found = stored(server)
    assert found["results/metrics.csv"] == plain.metrics()
    assert found["reports/report.pdf"].startswith(b"%PDF")
    here = {f"reports/tables/{file.name}": file.read_bytes() for file in (plain.folder / "reports/tables").iterdir()}
    assert tables(found) == tables(here)
    forget(away)
    assert "Nothing to be done" in snakemake(away, server, *STORAGE)

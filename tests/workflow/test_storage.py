"""Without a shared file system: profiles of executors plan the run, and a bucket can hold what jobs make."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from checkout import GRID, ROOT, Checkout

PROFILES = {  # profile: its plugin, and how a training's GPU is asked for
    "kubernetes": ("snakemake_executor_plugin_kubernetes", "gpu=1, gpu_manufacturer=nvidia"),
    "googlebatch": ("snakemake_executor_plugin_googlebatch", "nvidia_gpu=nvidia-a100-80gb"),
    "awsbatch": ("snakemake_executor_plugin_aws_batch", "_gpus=1"),
}
BUCKET = "peftuq-test"
STORAGE = [
    *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/run"),
    *("--shared-fs-usage", "none"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A local S3 server and its address."""
    pytest.importorskip("snakemake_storage_plugin_s3")
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").disabled = True  # a line a request
    running = moto.ThreadedMotoServer(port=0)
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


def stored(server: str) -> set[str]:
    boto3 = pytest.importorskip("boto3")
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    bucket = boto3.resource("s3", endpoint_url=server, region_name="us-east-1", **keys).Bucket(BUCKET)
    return {found.key for found in bucket.objects.all()}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_plans_every_job(copy, server, profile):
    plugin, gpu = PROFILES[profile]
    pytest.importorskip(plugin)
    folder = copy.folder / profile
    folder.mkdir()
    (folder / "config.yaml").write_bytes((ROOT / profile / "config.yaml").read_bytes())
    said = snakemake(copy, server, "-n", "--profile", profile, "-j", "8")
    assert "s3://change-me/peftuq/results/metrics.csv (send to storage)" in said
    (training,) = (job for job in said.split("\n\n") if "rule train_lora:" in job)
    assert gpu in training
    assert not (copy.folder / "results").exists()


@pytest.mark.workflow
def test_data_are_prepared_into_a_bucket(copy, server):
    target = "results/data/snippets2/train.parquet"
    snakemake(copy, server, target, "--profile", "local", "--cores", "1", *STORAGE)
    assert {f"run/results/data/snippets2/{split}.parquet" for split in ("train", "valid", "test")} <= stored(server)
    assert not list((copy.folder / "results").rglob("*.parquet"))
    again = snakemake(copy, server, target, "--profile", "local", "--cores", "1", *STORAGE)
    assert "Nothing to be done" in again

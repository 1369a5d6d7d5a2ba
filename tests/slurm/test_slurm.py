"""`snakemake --profile slurm` on a real Slurm: what jobs request, and that no fault loses or changes a result."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cluster
import faulty
import pytest
import yaml
from scenario import CELL, FAULTS, GRIDS, REQUEUED, Scenario, megabytes

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> bytes:
    """The metrics of the same grid on one machine, with nothing in its way, and with as many threads: they round.

    A job of the cluster has at most as many as its node's cores, which here are this machine's.
    """
    checkout = faulty.furnished(tmp_path_factory.mktemp("quiet"), *GRIDS)
    threads = yaml.safe_load((checkout.folder / "slurm/config.yaml").read_text())["set-threads"]
    done = checkout.run(
        "--cores", "all", faulty.METRICS, "--set-threads", *(f"{rule}={number}" for rule, number in threads.items())
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout.metrics()


@pytest.fixture(scope="module")
def scenario(tmp_path_factory, pytestconfig) -> Iterator[Scenario]:
    if cluster.missing():
        pytest.skip(f"no Slurm can be started here, for want of {', '.join(cluster.missing())} (see docs/cluster.md)")
    played = Scenario(faulty.furnished(tmp_path_factory.mktemp("checkout"), *GRIDS))
    with cluster.started(tmp_path_factory.mktemp("cluster")):
        played.play()
        with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{played.table()}", flush=True)
        yield played


def test_the_metrics_are_those_of_a_quiet_run_on_one_machine(scenario, quiet):
    assert scenario.returncodes[-1] == 0, scenario.outputs[-1][-8000:]
    assert scenario.checkout.metrics() == quiet
    assert not scenario.checkout.half_files()


@pytest.mark.parametrize("rule, requested", [
    ("train_lora", {"Partition": "gpu", "TresPerJob": "gres:gpu:a100:1", "CPUs/Task": "4", "MinMemoryCPU": "8000M"}),
    ("extract", {"Partition": "gpu", "TresPerJob": "gres:gpu:a100:1", "TimeLimit": "02:00:00"}),
    ("fit_adue", {"Partition": "gpu", "TresPerNode": "gres:shard:1", "TimeLimit": "01:00:00"}),
    ("prepare_data", {"Partition": "cpu", "MinMemoryNode": "4000M", "TimeLimit": "00:30:00", "NumCPUs": "1"}),
    ("aggregate", {"Partition": "cpu", "TimeLimit": "01:00:00"}),
])  # fmt: skip
def test_a_job_gets_what_the_profile_says(scenario, rule, requested):
    first = scenario.of(rule)[0]
    assert {key: first.get(key) for key in requested} == requested


def test_a_training_by_two_processes_gets_a_node_with_two_gpus_and_all_else_twice(scenario):
    training = re.compile(rf"rule_train_lora_.*_{faulty.PAIR}_0")
    (job,) = [job for job in scenario.jobs.values() if training.match(job.get("Comment", ""))]
    requested = {"TresPerJob": "gres:gpu:a100:2", "NumNodes": "1", "CPUs/Task": "8", "NodeList": cluster.PAIR}
    assert {key: job.get(key) for key in requested} == requested and megabytes(job) == 64000
    assert job["JobState"] == "COMPLETED"
    log = scenario.checkout.folder / f"results/logs/train_lora/nano_encoder/words/{faulty.PAIR}/seed0.log"
    assert f"step {faulty.STEPS}/{faulty.STEPS}" in log.read_text()


def test_fetching_runs_on_this_host(scenario):
    assert not scenario.of("fetch_model") and not scenario.of("list_cells")


def test_post_hoc_jobs_travel_together_on_cpu_nodes_and_share_a_few_cores(scenario):
    groups = [job for job in scenario.jobs.values() if "/group_posthoc" in job["StdOut"]]
    singles = [rule for rule in ("predict_from_records", "fit_baselines", "evaluate") if scenario.of(rule)]
    assert groups and not singles
    for job in groups:
        assert job["Partition"] == "cpu" and "TresPerJob" not in job
        assert int(job["NumCPUs"]) <= 16 and megabytes(job) <= 64000


def test_an_interrupt_cancels_what_was_submitted(scenario):
    assert scenario.returncodes[0] != 0
    assert scenario.interrupted and not scenario.left
    assert {scenario.jobs[number]["JobState"] for number in scenario.interrupted} == {"CANCELLED"}


def test_a_job_that_runs_out_of_memory_comes_back_with_more(scenario):
    jobs = scenario.of("fit_adue")
    assert [megabytes(job) for job in jobs] == [200, 1200]
    assert jobs[0]["JobState"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED") and jobs[1]["JobState"] == "COMPLETED"


@pytest.mark.parametrize("seed, fault", list(enumerate(FAULTS)))
def test_a_training_resumes_after_its_fault(scenario, seed, fault):
    jobs = scenario.of("train_lora", seed)
    assert jobs[-1]["JobState"] == "COMPLETED"
    text = (scenario.checkout.folder / f"results/logs/train_lora/{CELL}/seed{seed}.log").read_text()
    assert re.search(rf"resumed at step \d+ of {faulty.STEPS}", text)


@pytest.mark.parametrize("fault, state", [("scancel", "CANCELLED"), ("warned", "FAILED"), ("out of time", "TIMEOUT")])
def test_a_fault_is_noticed_and_the_next_attempt_has_more_time(scenario, fault, state):
    jobs = scenario.of("train_lora", list(FAULTS).index(fault))
    hit, last = scenario.jobs[scenario.hit[fault]], jobs[-1]
    assert hit["JobState"] == state
    assert last["JobId"] != hit["JobId"]
    assert (last["TimeLimit"], megabytes(last)) == ("1-00:00:00", 64000)


@pytest.mark.parametrize("fault", REQUEUED)
def test_what_slurm_requeues_is_left_to_slurm(scenario, fault):
    hit = scenario.jobs[scenario.hit[fault]]
    assert hit["JobState"] == "COMPLETED" and hit["Restarts"] == "1"


def test_a_warned_training_leaves_a_checkpoint_before_its_limit(scenario):
    assert "signal received: checkpoint at step" in scenario.slurm_log(scenario.jobs[scenario.hit["warned"]])


def test_logs_are_where_the_readme_says(scenario):
    logs = scenario.checkout.folder / "results/logs"
    for name in (f"train_lora/{CELL}/seed0", f"evaluate/{CELL}/seed0/point/softmax", "aggregate/metrics"):
        assert (logs / f"{name}.log").is_file()
    failed = [job for job in scenario.jobs.values() if job["JobState"] in ("FAILED", "TIMEOUT") and "Comment" in job]
    assert failed
    for job in failed:
        assert Path(job["StdOut"]).is_relative_to(logs / "slurm") and Path(job["StdOut"]).is_file()


def test_four_shards_are_one_gpu(scenario):
    options = "--parsable --gres=shard:1 --mem=100 --nodelist=n1 --output=/dev/null"
    submit = ["sbatch", *options.split(), "--wrap=sleep 20"]
    numbers = [int(subprocess.check_output(submit, cwd="/")) for _ in range(cluster.SHARDS + 1)]

    def states() -> list[str]:
        return [cluster.jobs()[number]["JobState"] for number in numbers]

    cluster.wait("the shards", lambda: states() == ["RUNNING"] * cluster.SHARDS + ["PENDING"], 60)

"""The real workflow on real small weights: it completes, repeats itself to the byte, and survives SIGKILL."""

import csv
import io

import pytest
from checkout import Checkout

from peftuq import files

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def quiet(tmp_path_factory) -> Checkout:
    """A run that nothing disturbed."""
    checkout = Checkout(tmp_path_factory.mktemp("quiet"))
    done = checkout.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def rows(checkout: Checkout) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(checkout.metrics().decode())))


def test_every_cell_is_there_and_no_value_is_missing(quiet):
    table = rows(quiet)
    assert {(row["model"], row["eval"], row["seed"]) for row in table} == {
        ("minilm", part, seed) for part in ("snippets2", "tweets2") for seed in ("0", "1")
    }
    point = {row["method"] for row in table if row["predictive"] == "point"}
    assert {"prediction", "sr", "entropy", "md", "md_l2", "rmd", "rmd_l2", "adue", "adue_bce", "adue_rand_cls"} <= point
    assert {row["method"] for row in table if row["predictive"] == "temperature"} == {
        "prediction", "sr", "entropy", "margin",
    }  # fmt: skip
    assert all(row["value"] not in ("", "nan") for row in table)


def test_the_report_and_its_tables_are_there(quiet):
    assert (quiet.folder / "reports/report.pdf").read_bytes().startswith(b"%PDF")
    for ending in ("csv", "md", "tex"):
        assert list((quiet.folder / "reports/tables").glob(f"*.{ending}"))


def test_nothing_is_left_to_do(quiet):
    assert "Nothing to be done" in quiet.run("--dry-run").stdout + quiet.run("--dry-run").stderr


def test_another_run_gives_the_same_bytes_though_its_jobs_are_killed(quiet, tmp_path):
    other = Checkout(tmp_path)
    adapters = other.folder / "results/adapters"
    checkpoints = other.folder / "results/checkpoints"

    def all_can_resume() -> bool:  # whichever is killed
        return len(list(checkpoints.rglob("state.safetensors"))) >= len(other.jobs("train"))

    first = other.run_and_kill("train", all_can_resume)
    assert first.returncode != 0
    for script, outputs in (("extract", "results/records"), ("fit_scores", "results/scores")):
        before = set((other.folder / outputs).rglob("*.*"))
        killed = other.run_and_kill(script)
        assert killed.returncode != 0
        assert {path.suffix for path in set((other.folder / outputs).rglob("*")) - before} <= {
            ".safetensors", ".parquet", ".json", ".part", "",
        }  # fmt: skip
    logs = "".join(path.read_text() for path in (other.folder / "results/logs/train_lora").rglob("*.log"))
    assert "resumed at step" in logs
    done = other.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert other.metrics() == quiet.metrics()
    assert not checkpoints.exists() or not list(checkpoints.rglob("*.safetensors"))
    assert len(list(adapters.rglob("adapter_model.safetensors"))) == 2


def test_a_corrupt_archive_is_named_and_nothing_is_written(quiet, tmp_path):
    other = Checkout(tmp_path)
    path = other.folder / "config/models/minilm.yaml"
    path.write_text(path.read_text().replace("sha256: b9a0018d", "sha256: 00000000"))
    done = other.run("results/models/minilm/provenance.json")
    assert done.returncode != 0 and "sha256" in done.stdout + done.stderr
    assert not (other.folder / "results/models/minilm").exists()


@pytest.mark.parametrize("file, old, new, message", [
    ("config/config.yaml", "bootstrap: 20", "bootstraps: 20", "unknown key 'bootstraps' (did you mean 'bootstrap'?)"),
    ("config/recipes/tiny.yaml", "batch_size: 8", "batch_size: none", "tiny.yaml: key 'optimiser.batch_size'"),
    ("config/suites/tiny.yaml", "- minilm", "- minlm", "unknown model 'minlm' (did you mean 'minilm'?)"),
])  # fmt: skip
def test_a_users_mistake_is_one_line_before_any_job(tmp_path, file, old, new, message):
    checkout = Checkout(tmp_path)
    path = checkout.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = checkout.run("--dry-run")
    printed = done.stdout + done.stderr
    assert done.returncode != 0 and message in printed and "Traceback" not in printed


def test_training_logs_every_epoch(quiet):
    for log in (quiet.folder / "results/adapters").rglob("train_log.jsonl"):
        epochs = files.read_lines(log)
        assert [epoch["epoch"] for epoch in epochs] == [1, 2]
        assert all({"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"} <= e.keys() for e in epochs)

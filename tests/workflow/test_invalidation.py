"""Which change makes which jobs run again: a real run, then edits, each put to Snakemake and taken back.

`PEFTUQ_WRITE_DOCS=1 pytest tests/workflow/test_invalidation.py` writes the table of docs/invalidation.md anew.
"""

import json
import os

import pytest
from checkout import ROOT
from edits import CONFIGURATION, EDITS, appended, keys, table
from nano import Nano

from peftuq.integrity import content

pytestmark = pytest.mark.workflow

DOCUMENT = ROOT / "docs" / "invalidation.md"
CELL = "nano_encoder/words/plain/seed0/point"
ADAPTER = CELL.removesuffix("/point")
ADUE = f"results/metrics/{CELL}/adue.json"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Nano:
    """A checkout whose run is complete."""
    checkout = Nano(tmp_path_factory.mktemp("nano"))
    ran = checkout.run()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return checkout


@pytest.fixture
def checkout(done) -> Nano:
    yield done
    done.take_back()


@pytest.mark.parametrize("change", EDITS)
def test_a_change_makes_the_jobs_run_again_that_depend_on_it_and_no_other(checkout, change):
    edit, expected = EDITS[change]
    edit(checkout)
    assert checkout.due() == {rule: count for rule, count in expected.items() if count}


def test_the_documented_table_is_the_observed_one():
    before, _, rest = DOCUMENT.read_text().partition("<!-- table -->\n")
    written, _, after = rest.partition("\n<!-- end of table -->")
    if "PEFTUQ_WRITE_DOCS" in os.environ:
        DOCUMENT.write_text(f"{before}<!-- table -->\n{table()}\n<!-- end of table -->{after}")
    else:
        assert written == table(), "PEFTUQ_WRITE_DOCS=1 pytest tests/workflow/test_invalidation.py writes it anew"


# -- in words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit, target, expected", [
    (EDITS["nothing"][0], ADUE, [f"{ADUE} (evaluate): nothing to do"]),
    (EDITS["a parameter of AdUE"][0], f"fit_adue/{CELL}/adue", [
        f"results/scores/{CELL}/adue.parquet (fit_adue) would be made again:",
        "  its spec: params.epochs.0: 2 → 3",
    ]),
    (appended("src/peftuq/scores/rde.py", "NEW = 1\n"), f"results/scores/{CELL}/rde.parquet", [
        f"results/scores/{CELL}/rde.parquet (fit_baselines) would be made again:",
        "  constant NEW of peftuq.scores.rde is new",
    ]),
    (keys("config/recipes/plain.yaml", optimiser__lr=0.02), ADUE, [
        f"{ADUE} (evaluate) would be made again:",
        f"  because its input results/records/{ADAPTER}.safetensors would be made (extract):",
        f"    because its input results/adapters/{ADAPTER}/adapter_model.safetensors would be made (train_lora):",
        "      its spec: recipe.optimiser.lr: 0.01 → 0.02",
    ]),
    (keys("config/suites/tiny.yaml", title="Small"), "results/cells.json", [
        "results/cells.json (list_cells) would be made again:",
        '  suites.tiny.title: "Tiny" → "Small"',
    ]),
])  # fmt: skip
def test_why_names_the_change(checkout, edit, target, expected):
    edit(checkout)
    printed = checkout.why(target)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines() == expected


def test_why_tells_what_is_new_from_what_is_made_again(checkout):
    EDITS["a seed added"][0](checkout)
    new = ADUE.replace("seed0", "seed2")
    printed = checkout.why(new).stdout.splitlines()
    assert printed[:2] == [f"{new} (evaluate) would be made:", "  it has not been made yet"]


def test_why_refuses_a_target_that_no_job_makes(checkout):
    printed = checkout.why("results/nothing.json")
    assert printed.returncode == 2 and printed.stdout == ""
    assert len(printed.stderr.splitlines()) == 1 and "results/nothing.json: no job" in printed.stderr


# -- what is due is not always computed ----------------------------------------------------------------


def test_nothing_is_computed_after_a_preparation_that_gave_the_same_bytes(checkout):
    before = content(checkout.folder / ADUE)
    keys("config/datasets/words.yaml", version=2)(checkout)
    assert checkout.due(ADUE) == {"prepare_data": 1, "train_lora": 1, "extract": 1, "fit_adue": 1, "evaluate": 1}
    assert checkout.run(ADUE).returncode == 0
    assert "reused" not in checkout.log_of("prepare_data/words")
    for log in (f"train_lora/{ADAPTER}", f"extract/{ADAPTER}", f"fit_adue/{CELL}/adue", f"evaluate/{CELL}/adue"):
        assert "unchanged inputs: reused" in checkout.log_of(log), log
    assert content(checkout.folder / ADUE) == before  # and an identity of its own: of other data
    adapter = checkout.folder / "results/adapters" / ADAPTER
    assert {"adapter_config.json", "train_log.jsonl", "training.json"} <= {path.name for path in adapter.iterdir()}


def test_a_change_that_is_taken_back_costs_nothing(checkout):
    changed = keys(CONFIGURATION, methods__adue__epochs=[1])
    changed(checkout)
    assert checkout.run(ADUE).returncode == 0
    assert "reused" not in checkout.log_of(f"fit_adue/{CELL}/adue")
    once = (checkout.folder / ADUE).read_bytes()
    checkout.take_back()
    assert checkout.run(ADUE).returncode == 0
    for rule in ("fit_adue", "evaluate"):
        assert "unchanged inputs: reused" in checkout.log_of(f"{rule}/{CELL}/adue")
    assert (checkout.folder / ADUE).read_bytes() != once


def test_an_edited_result_does_not_come_back(checkout):
    """A result shares its place on disk with the store: its hash tells that it was edited, and it is made again."""
    scores = checkout.folder / f"results/scores/{CELL}/softmax.parquet"
    whole = scores.read_bytes()
    with scores.open("r+b") as file:
        file.write(b"edited")
    assert checkout.run("--force", str(scores.relative_to(checkout.folder))).returncode == 0
    assert "reused" not in checkout.log_of(f"fit_baselines/{CELL}/softmax")
    assert scores.read_bytes() == whole


# -- how far -------------------------------------------------------------------------------------------


def test_status_counts_what_snakemake_would_run_and_names_what_failed(checkout):
    assert json.loads(checkout.peftuq("status", "--json").stdout)["jobs"] == []
    EDITS["a parameter of AdUE"][0](checkout)
    log = checkout.folder / f"results/logs/fit_adue/{CELL}/adue.log"
    said = log.read_text()
    log.write_text(f"{said}2026-01-31 12:00:00 error: out of memory\n")
    found = json.loads(checkout.peftuq("status", "--json").stdout)
    log.write_text(said)
    undone = {rule: counts["running"] + counts["failed"] + counts["due"] for rule, counts in found["rules"].items()}
    assert {rule: count for rule, count in undone.items() if count} == checkout.due()
    assert [(job["rule"], job["state"], job["last_line"]) for job in found["jobs"]] == [
        ("fit_adue", "failed", "2026-01-31 12:00:00 error: out of memory")
    ]

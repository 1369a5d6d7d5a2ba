"""The plan against files as they are written, arithmetic done by hand, and the workflow's own count of its jobs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from closed_forms import ClosedForms

from peftuq import artifacts, cli
from peftuq.artifacts import Head, Record, Samples
from peftuq.config import study as study_module
from peftuq.config.study import Adapter, Cell, Setting, Study
from peftuq.errors import UserError
from peftuq.jobs.jobs import Jobs
from peftuq.planning import budget, plan
from peftuq.planning.disk import Disk
from peftuq.planning.requests import gpu_jobs
from peftuq.planning.workload import START, Workload
from peftuq.predictives.laplace import file as laplace_file

ROOT = Path(__file__).parents[3]
LLAMA = 6.476e9  # weights of LLaMA-2-7B's blocks: 32 · (4 · 4096² + 3 · 4096 · 11008)
GRID = {
    "models": ["roberta", "llama2_7b"],
    "datasets": ["cola"],
    "recipes": ["lora"],
    "seeds": 5,
    "predictives": ["point", "temperature"],
    "scores": ["softmax", "mahalanobis", "adue"],
}
CHOICE = {
    "models": ["mistral_7b"],
    "datasets": ["csqa"],
    "recipes": ["lora_map", "lora_map_lambda"],
    "seeds": 1,
    "shifts": {"csqa": ["mmlu_stem"]},
    "predictives": ["point", "ensemble-5", "ensemble-20"],
    "scores": ["softmax", "information"],
}
SAMPLED = {
    "models": ["llama2_7b"],
    "datasets": ["obqa"],
    "recipes": ["lora_wide"],
    "seeds": 1,
    "shifts": {"obqa": ["mmlu_law"]},
    "predictives": ["point", "laplace", "mc_dropout-10"],
    "scores": ["softmax"],
}


@pytest.fixture
def root(tmp_path) -> Path:
    """A copy of `config/` for suites of the test's own."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path / "config"


def config(root: Path, *grids: dict, **keys) -> dict:
    suite = {"version": 1, "title": "s", "sections": ["adue"], "grids": list(grids)}
    (root / "suites/small.yaml").write_text(yaml.safe_dump(suite))
    return {"suites": ["small"], "sources": ["hub", "registry"], **keys}


def workload(root: Path, *grids: dict, **keys) -> Workload:
    return Workload(Jobs(Study(config(root, *grids, **keys), root)), ClosedForms())


# -- hours ----------------------------------------------------------------------------------------------


def test_hours_of_a_training_by_hand(root):
    """obqa: 4957 rows of 36.8 tokens, 2 epochs; rank 80 everywhere: 32 · 80 · (4 · 8192 + 3 · 15104) parameters."""
    adapter = 32 * 80 * (4 * 2 * 4096 + 3 * (4096 + 11008))
    epoch = 4957 * 36.8 * (4 * LLAMA + 6 * adapter) / (0.35 * 312e12)
    epoch += 500 * 36.8 * 2 * (LLAMA + adapter) / (0.45 * 312e12)
    loading = 2 * (LLAMA + 32000 * 4096) / 1e9
    spent = workload(root, SAMPLED).train(Adapter("llama2_7b", "obqa", "lora_wide", 0))
    assert spent == pytest.approx(START + loading + 2 * epoch, rel=1e-3)


def test_two_gpus_take_half_the_time_and_start_twice(root):
    setting = Adapter("llama2_7b", "obqa", "lora_wide", 0)
    one = workload(root, SAMPLED)
    (root / "recipes/lora_wide.yaml").write_text((root / "recipes/lora_wide.yaml").read_text() + "gpus: 2\n")
    two, start = workload(root, SAMPLED), one.start("llama2_7b")
    assert two.train(setting) - start == pytest.approx((one.train(setting) - start) / 2)
    assert two.hours()["train_lora"] == pytest.approx(one.hours()["train_lora"] + start / 3600)
    assert two.hours_of_trainings_without_sharing() > one.hours_of_trainings_without_sharing()
    assert two.hours()["extract"] == one.hours()["extract"]
    assert any("1 trainings by lora_wide take 2 GPUs each" in line for line in plan.describe(two.jobs, ClosedForms()))


def test_more_passes_take_longer(root):
    work = workload(root, SAMPLED)
    setting, parts = Setting("llama2_7b", "obqa", "lora_wide"), ["valid", "test", "mmlu_law"]
    once = work.forward(Adapter(*setting, 0), parts)
    start = work.start("llama2_7b")
    assert work.predict_with_model(Cell(*setting, 0, "mc_dropout-10")) - start == pytest.approx(10 * once)
    assert work.extract(Adapter(*setting, 0)) - start == pytest.approx(once)
    fitted = work.fit_laplace(Adapter(*setting, 0)) - start
    forward = work.forward(Adapter(*setting, 0), ["train", *parts])
    assert fitted == pytest.approx(5 * forward)  # forward, and back from 4 options
    assert set(work.hours()) == {"train_lora", "extract", "fit_laplace", "predict_with_model"}


def test_long_inputs_count_as_far_as_they_are_read(root):
    work, setting = workload(root, GRID), Setting("roberta", "cola", "lora")
    assert work.tokens(setting, ["test"]) == pytest.approx(1043 * 11.4)
    (root / "recipes/lora.yaml").write_text((root / "recipes/lora.yaml").read_text() + "max_length: 5\n")
    assert workload(root, GRID).tokens(setting, ["test"]) == 1043 * 5


def test_rows_are_those_that_a_limit_leaves(root):
    work = workload(root, SAMPLED, limit={"train": 100, "shift": 7})
    assert work.rows(Setting("llama2_7b", "obqa", "lora_wide"), ["train", "valid", "test", "mmlu_law"]) == {
        "train": 100,
        "valid": 500,
        "test": 500,
        "mmlu_law": 7,
    }


def test_a_dataset_without_sizes_is_named(root):
    path = root / "datasets/cola.yaml"
    path.write_text("".join(line for line in path.open() if not line.startswith("size:")))
    with pytest.raises(UserError, match=r"datasets/cola\.yaml: key 'size' is missing"):
        workload(root, GRID).hours()


def test_memory_is_that_of_the_most_demanding_setting(root):
    peaks = plan.peak_memory(workload(root, GRID, {**GRID, "datasets": ["newsgroups"]}, SAMPLED))
    assert peaks["train_lora", "roberta"][1].dataset == "newsgroups"  # more classes, the same inputs
    assert peaks["train_lora", "llama2_7b"][1].recipe == "lora_wide"  # untied LM head, longer inputs, more parameters
    weights = 2 * (LLAMA + 2 * 32000 * 4096)
    assert weights < peaks["extract", "llama2_7b"][0] < 1.5 * weights < peaks["train_lora", "llama2_7b"][0]
    dense = 16 * 473 * (768 * 769 + 768 * 20 + 20) + 4 * 768 * 9051
    assert peaks["fit_adue", "roberta"][0] == pytest.approx(dense)


def test_a_score_runs_where_its_declaration_says_whatever_its_name(root, tmp_path, monkeypatch):
    package = tmp_path / "peftuq"
    for part in ("scores", "predictives", "adapters"):
        shutil.copytree(study_module.PACKAGE / part, package / part)
    for environment in ("torch", "numeric"):
        declared = (
            f'SCORE = Score(version=1, reads="records", variants=["{environment}"], environment={environment!r})\n'
            "def score(): ...\n"
        )
        (package / f"scores/with_{environment}.py").write_text(declared)
    monkeypatch.setattr(study_module, "PACKAGE", package)
    jobs = Jobs(Study(config(root, {**GRID, "scores": ["with_torch", "with_numeric"]}), root))
    counts = plan.jobs_per_rule(jobs)
    assert counts["fit_adue"] == counts["fit_baselines"] == 2 * 5
    assert [of.score for rule, of in gpu_jobs(jobs) if rule == "fit_adue"] == ["with_torch"] * 10
    assert jobs.fit_scores.scores("fit_adue") == "adue|with_torch"


# -- jobs -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_jobs_are_as_many_as_snakemake_counts(root):
    folder = root.parent
    for part in ("workflow", "src", "envs", "reports"):
        (folder / part).symlink_to(ROOT / part)
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")  # its folder is where config/ is looked for
    written = config(root, GRID, CHOICE, SAMPLED)
    (folder / "config.yaml").write_text(yaml.safe_dump(written))
    command = [sys.executable, "-m", "snakemake", "-n", "-q", "rules", "--configfile", "config.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    words = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    counted = {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}
    planned = plan.jobs_per_rule(Jobs(Study(written, root)))
    found = {rule: n for rule, n in counted.items() if rule not in ("all", "list_cells", "total")}
    assert found == {rule: n for rule, n in planned.items() if n}


# -- disk -------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(root) -> Disk:
    return Disk(workload(root, CHOICE, SAMPLED))


def test_records_and_epochs_are_as_large_as_estimated(disk, tmp_path):
    member = Adapter("mistral_7b", "csqa", "lora_map", 0)
    n, width = 974 + 1221 + 3153, 4096
    record = Record(np.arange(n), np.arange(n), *(np.zeros((n, d), "f4") for d in (5, width)), np.zeros(n, "f4"))
    artifacts.write_records(tmp_path / "a", {"test": record}, Head(np.zeros((5, width), "f4")))
    assert disk.records(member) == pytest.approx((tmp_path / "a").stat().st_size, rel=1e-3)
    m = 1000 + 1221 + 3153
    small = Record(np.arange(m), np.arange(m), np.zeros((m, 5), "f4"), None, np.zeros(m, "f4"))
    artifacts.write_epochs(tmp_path / "b", [{"test": small}] * 10)
    assert disk.epochs(member) == pytest.approx((tmp_path / "b").stat().st_size, rel=1e-2)


def test_samples_and_posteriors_are_as_large_as_estimated(disk, tmp_path):
    cell, n = Cell("llama2_7b", "obqa", "lora_wide", 0, "mc_dropout-10"), 500 + 500 + 1763
    ids = np.arange(n)
    for predictive, kept in (("mc_dropout-10", 10), ("laplace", 100)):
        artifacts.write_samples(tmp_path / "s", {"test": Samples(ids, ids, np.zeros((kept, n, 4)))})
        estimate = disk.samples(cell._replace(predictive=predictive))
        assert estimate == pytest.approx((tmp_path / "s").stat().st_size, rel=1e-2)
    covariance = dict.fromkeys(laplace_file.PRIORS, np.zeros((n, 4, 4)))
    gaussian = laplace_file.GaussianLogits(ids, ids, np.zeros((n, 4)), covariance)
    laplace_file.write(tmp_path / "l", {"test": gaussian}, {})
    assert disk.laplace(cell.adapter) == pytest.approx((tmp_path / "l").stat().st_size, rel=1e-2)


def test_weights_are_those_of_the_hub(disk):
    """13.48 GB of safetensors for LLaMA-2-7B and 14.48 GB for Mistral-7B, by their model pages."""
    assert disk.weights("llama2_7b") == pytest.approx(13.48e9, rel=0.005)
    assert disk.weights("mistral_7b") == pytest.approx(14.48e9, rel=0.005)


# -- budgets ----------------------------------------------------------------------------------------------


def test_a_budget_leaves_out_as_little_as_it_must_in_order(root):
    whole = config(root, GRID, CHOICE)
    everything = budget.fit(whole, root, 1e9, "c", ClosedForms())
    assert [step.what for step in everything] == ["the whole grid"]
    order = [step.what for step in budget.fit(whole, root, 0.4, "c", ClosedForms())]
    assert order == [
        "the whole grid",
        "seeds beyond 3",
        "sweeps",
        "ensembles of more than 10",
        "the model mistral_7b",
        "the model llama2_7b",
    ]
    steps = budget.fit(whole, root, everything[0].hours - 0.01, "c", ClosedForms())
    assert len(steps) == 2 and steps[-1].config["trim"] == {"seeds": 3}


def test_the_trimmed_configuration_runs_what_was_priced(root):
    steps = budget.fit(config(root, GRID, CHOICE), root, 6, "c", ClosedForms())
    study = Study(steps[-1].config, root)
    assert sum(Workload(Jobs(study), ClosedForms()).hours().values()) == steps[-1].hours <= 6 < steps[-2].hours
    assert {cell.seed for cell in study.cells} <= {0, 1, 2}
    assert not any("lambda" in cell.recipe for cell in study.cells)
    assert Cell("mistral_7b", "csqa", "lora_map", 0, "ensemble-20") not in study.cells


def test_a_budget_that_cannot_be_met_is_refused(root):
    with pytest.raises(UserError, match=r"cannot be trimmed to 0\.001 GPU-hours: \S+ is the least"):
        budget.fit(config(root, GRID), root, 0.001, "c", ClosedForms())
    with pytest.raises(UserError, match="trim: leaves nothing to run"):
        Study(config(root, GRID, trim={"models": ["roberta", "llama2_7b"]}), root)
    with pytest.raises(UserError, match=r"trim\.models: unknown model 'llama'"):
        Study(config(root, GRID, trim={"models": ["llama"]}), root)


def test_the_command_line_writes_only_the_file_that_is_named(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("peftuq.cli._shared.ROOT", root.parent)
    monkeypatch.setattr("peftuq.planning.rehearsals.Rehearsals", lambda *_: ClosedForms())
    path, out = tmp_path / "c.yaml", tmp_path / "out.yaml"
    path.write_text(yaml.safe_dump(config(root, GRID, CHOICE)))
    before = set(tmp_path.rglob("*"))
    call = ["peftuq", "plan", "--configfile", str(path), "--budget-hours", "6"]
    monkeypatch.setattr(sys, "argv", call)
    cli.main()
    assert "nothing was written" in capsys.readouterr().out and set(tmp_path.rglob("*")) == before
    monkeypatch.setattr(sys, "argv", [*call, "--budget-out", str(out)])
    cli.main()
    assert yaml.safe_load(out.read_text())["trim"]["seeds"] == 3


def test_the_plan_as_json_says_what_its_text_says(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("peftuq.cli._shared.ROOT", root.parent)
    monkeypatch.setattr("peftuq.planning.rehearsals.Rehearsals", lambda *_: ClosedForms())
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config(root, GRID, CHOICE)))
    printed = []
    for more in ([], ["--json"], ["--budget-hours", "6", "--json"]):
        monkeypatch.setattr(sys, "argv", ["peftuq", "plan", "--configfile", str(path), *more])
        cli.main()
        printed.append(capsys.readouterr().out)
    facts, budgeted = map(json.loads, printed[1:])
    assert f"{facts['cells']} cells of {facts['settings']} settings, {sum(facts['jobs'].values())} jobs:" in printed[0]
    assert f"{sum(facts['gpu_hours'].values()):.1f} GPU-hours" in printed[0]
    assert f"{sum(facts['disk'].values()) / 1e9:.1f} GB of disk" in printed[0]
    assert len(facts["peak_memory"]) == sum("roberta " in line or "_7b " in line for line in printed[0].splitlines())
    assert budgeted["gpu_hours"] == pytest.approx(sum(facts["gpu_hours"].values()))
    assert budgeted["trim"]["seeds"] == 3 and budgeted["steps"][-1]["gpu_hours"] <= 6


def test_the_papers_own_costs_stand_beside_the_plan():
    jobs = Jobs(Study({"suites": ["adue", "uq4ct"], "sources": ["hub"]}, ROOT / "config"))
    lines = list(plan.describe(jobs, ClosedForms()))
    (adue,) = (line for line in lines if "AdUE's models and datasets: 100 trainings" in line)
    assert "the paper: 340 for 100, so 340" in lines[lines.index(adue) + 1]
    assert any("the paper: 25 to 50, for a number of epochs" in line for line in lines)

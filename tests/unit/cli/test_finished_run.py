"""show, export, compare and findings, against pandas, scikit-learn and scipy on the same files."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from peftuq import artifacts
from peftuq.evaluation.compare import pairwise
from peftuq.paths import Paths

KEY = ["model", "dataset", "eval", "recipe", "predictive", "method"]


@pytest.fixture
def table(run_folder) -> pd.DataFrame:
    """The run's long table, a cell of two suites once."""
    return pd.read_csv(run_folder / "results/metrics.csv").drop(columns="suite").drop_duplicates()


def test_means_and_deviations_over_seeds_are_those_of_pandas(peftuq, table):
    shown = json.loads("\n".join(peftuq("show", "--json", "--eval", "words", "other", "--metric", "auroc", "nll")))
    wanted = table[table.metric.isin(["auroc", "nll"])].groupby([*KEY, "metric"]).value.agg(["mean", "std", "count"])
    found = {
        (*(row[name] for name in KEY), metric): (v["mean"], v["sd"], len(v["seeds"]))
        for row in shown
        for metric, v in row.items()
        if metric in ("auroc", "nll")
    }
    assert found.keys() == set(wanted.index)
    for key, values in found.items():
        np.testing.assert_allclose(values, wanted.loc[key], rtol=1e-12)


def test_the_default_is_each_datasets_own_test_set_and_a_score_stands_for_its_variants(peftuq):
    shown = json.loads("\n".join(peftuq("show", "--json", "--score", "softmax")))
    assert {row["eval"] for row in shown} == {"words"}
    assert {row["method"] for row in shown} == {"sr", "entropy", "margin"}


def test_sorted_by_a_metric_the_best_is_first_whichever_way_is_better(peftuq):
    for metric, best in (("auroc", max), ("aurc", min)):
        shown = json.loads("\n".join(peftuq("show", "--json", "--sort", metric)))
        values = [row[metric]["mean"] for row in shown]
        assert values[0] == best(values) and len(values) == 14


def test_a_table_names_what_is_the_same_in_all_rows_once(peftuq):
    lines = peftuq("show", "--model", "one", "--score", "prediction", "--metric", "nll")
    assert lines[0] == "model one, dataset words, eval words, recipe plain, method prediction"
    assert [line.split()[0] for line in lines[4:]] == ["point", "temperature"]


def test_a_csv_of_everything_is_the_runs_own(peftuq, run_folder):
    lines = peftuq("export", "csv", "--eval", "words", "other")
    assert "\n".join(lines) + "\n" == (run_folder / "results/metrics.csv").read_text()
    some = pd.read_csv(io.StringIO("\n".join(peftuq("export", "csv", "--metric", "auroc", "--model", "two"))))
    assert [set(some[name]) for name in ("metric", "model", "eval")] == [{"auroc"}, {"two"}, {"words"}]


def test_a_leaderboard_ranks_as_pandas_does(peftuq, table):
    board = json.loads("\n".join(peftuq("export", "leaderboard", "--sort", "aurc", "--eval", "words", "other")))
    means = table[table.metric == "aurc"].groupby(KEY).value.mean().reset_index()
    means["rank"] = means.groupby(["model", "dataset", "eval", "recipe"]).value.rank()
    wanted = means.groupby(means["predictive"] + "/" + means["method"])["rank"].mean()
    assert board["mean_rank"] == pytest.approx(wanted.to_dict())
    assert list(board["mean_rank"].values()) == sorted(board["mean_rank"].values())
    assert [len(task["methods"]) for task in board["tasks"]] == [7] * 4


def test_a_latex_table_escapes_names_and_compiles_to_as_many_columns(peftuq):
    lines = peftuq("export", "latex", "--metric", "ece_15", "nll", "--score", "prediction")
    (head,) = (line for line in lines if "ece\\_15" in line)
    assert lines[0] == r"\begin{tabular}{llrr}" and head.count("&") == 3


def test_an_export_to_a_file_is_what_it_prints(peftuq, tmp_path):
    out = tmp_path / "board.json"
    assert peftuq("export", "leaderboard", "--out", str(out))[0].startswith(str(out))
    assert out.read_text().splitlines() == peftuq("export", "leaderboard")


# -- compare -------------------------------------------------------------------------------------------


def compared(peftuq, *words: str) -> list[dict]:
    return json.loads("\n".join(peftuq("compare", *words, "--json")))["cells"]


def test_scores_differ_as_the_workflows_own_comparison_has_it(peftuq, run_folder):
    paths = Paths(str(run_folder / "results"))
    for cell in compared(peftuq, "point/energy", "point/sr", "--resamples", "200"):
        setting = (cell["model"], "words", "plain")
        scored = [
            ("point", s, artifacts.read_scores(paths.scores(*setting, s, "point", name)))
            for s in (0, 1)
            for name in ("energy", "softmax")
        ]
        part = "test" if cell["eval"] == "words" else cell["eval"]
        (row,) = (
            row
            for row in pairwise(scored, [part], 200)[part]["differences"]
            if (row["method"], row["other"]) == ("point/energy", "point/sr")
        )
        assert [cell[k] for k in ("estimate", "low", "high")] == [row[k] for k in ("estimate", "low", "high")]
        assert cell["a"] - cell["b"] == pytest.approx(cell["estimate"])


def test_predictives_differ_as_scikit_learn_has_it(peftuq, run_folder):
    paths = Paths(str(run_folder / "results"))
    for cell in compared(peftuq, "temperature", "point", "--resamples", "50"):
        part = "test" if cell["eval"] == "words" else cell["eval"]
        files = {p: [artifacts.SampleFile(paths.samples(cell["model"], "words", "plain", s, p))[part] for s in (0, 1)]
                 for p in ("temperature", "point")}  # fmt: skip
        losses = {p: np.mean([log_loss(f.label, f.mean, labels=[0, 1, 2]) for f in of]) for p, of in files.items()}
        assert (cell["a"], cell["b"]) == pytest.approx((losses["temperature"], losses["point"]), rel=1e-6)
        assert cell["low"] <= cell["estimate"] <= cell["high"] and cell["seeds"] == [0, 1]


def test_the_better_of_two_is_the_one_with_the_lower_loss(peftuq):
    lines = peftuq("compare", "temperature", "point", "--metric", "nll", "--resamples", "100")
    for line, cell in zip(lines[4:-2], compared(peftuq, "temperature", "point", "--resamples", "100"), strict=True):
        better = {"a": "point", "b": "temperature", None: "–"}[cell["larger"]]  # nll: lower is better
        assert line.split()[-1] == better
    assert any(line.split()[-1] == "temperature" for line in lines[4:-2])


# -- findings ------------------------------------------------------------------------------------------


def test_findings_name_the_best_score_and_the_best_calibrated_predictive(peftuq, run_folder, table):
    found = json.loads("\n".join(peftuq("findings", "--resamples", "50", "--json")))["best"]
    own = table[table["eval"] == table["dataset"]]
    for row in found:
        here = own[(own["model"] == row["model"]) & (own["metric"] == row["metric"])]
        means = here.groupby(["predictive", "method"]).value.mean()
        assert row["value"] == pytest.approx(means.max() if row["metric"] == "auroc" else means.min())
    assert [(row["model"], row["goal"]) for row in found] == [
        (model, goal) for model in ("one", "two") for goal in ("error detection", "calibration")
    ]


def test_findings_fit_on_ten_lines_and_say_where_to_look(peftuq):
    lines = peftuq("findings", "--resamples", "50")
    assert len(lines) <= 10 and "results/metrics.csv" in lines[-1]
    assert all("nothing is better" in line or "points [" in line for line in lines[:-1])


def test_auroc_of_the_files_is_the_tables(run_folder, table):
    """The fixture is a run: what its scores say is what its table says."""
    scores = artifacts.read_scores(
        Paths(str(run_folder / "results")).scores("one", "words", "plain", 0, "point", "softmax")
    )
    test = scores.on("test")
    (value,) = table.query("model=='one' and eval=='words' and predictive=='point' and method=='sr' and seed==0 "
                           "and metric=='auroc'").value  # fmt: skip
    assert value == pytest.approx(roc_auc_score(test.error, test.variants["sr"]))

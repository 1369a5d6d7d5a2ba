"""Nothing that a job reads is another's or damaged: every kind of file, found before use, in one line that names it."""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peftuq import artifacts, files, integrity
from peftuq.config.study import Study
from peftuq.errors import UserError
from peftuq.integrity import Identity, Made
from peftuq.jobs import outputs, program
from peftuq.jobs.jobs import Jobs
from peftuq.jobs.wildcards import PATTERNS

CONFIG = Path(__file__).parents[3] / "config"
SUITES = ["demo", "demo_ensembles", "demo_uq4ct"]
MADE, OTHER = Made("a" * 16, "b" * 16, "c" * 16), Made("a" * 16, "b" * 16, "d" * 16)
NAMES = {name: "0" if name == "seed" else f"hub-{'0' * 12}" if name == "source" else name[0] for name in PATTERNS}


def study(folder: Path, **keys) -> Jobs:
    config = {"suites": SUITES, "sources": ["registry", "hub"], "results": f"{folder}/results", **keys}
    return Jobs(Study(config, CONFIG))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Jobs:
    return study(tmp_path_factory.mktemp("run"))


def patterns() -> list[str]:
    """Every kind of file that one job makes and another reads, below `results`."""
    declared: list[str] = []
    made = study(Path("at"))
    made.context.identities.declare = lambda rules: declared.extend(rules)  # type: ignore[method-assign]
    made._declare()
    return sorted(path.removeprefix("at/results/") for path in declared)


def write(path: Path, made: Made = MADE, seed: int = 0, results: Path | None = None) -> Path:
    """A small file of its format, with an identity of its own path below `results`."""
    draw = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        files.write_arrays(path, {"x": draw.normal(size=9), "n": np.arange(3)}, {"parts": '["test"]'})
    elif path.suffix == ".parquet":
        files.write_columns(path, {"text": ["ä", "b"], "value": draw.normal(size=2)}, {"diagnostics": "{}"})
    elif path.suffix == ".jsonl":
        files.write_lines(path, [{"loss": value} for value in draw.normal(size=2)])
    elif "trace" in str(path):
        files.write_json(path, [{"epoch": 1, "nll": draw.normal()}])
    else:
        files.write_json(path, {"value": draw.normal(), "Upper": [1, None]})
    integrity.embed(path, Identity(integrity.relative(str(path), str(results or path.parents[1])), made))
    return path


def refused(path: Path, expected: set[str] | None = None) -> str:
    """The one line that refuses a file; it names the file and has a remedy."""
    with pytest.raises(UserError) as error:
        integrity.check(path, expected)
    message = str(error.value)
    assert str(path) in message and "delete it and run again" in message and "\n" not in message
    return message


# -- every kind of file --------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", patterns())
def test_damage_and_other_files_are_found_in_every_kind_of_file(tmp_path, pattern):
    results = tmp_path / "results"
    paths = [results / pattern.format(**NAMES | {key: value}) for key, value in ([("seed", "0"), ("seed", "1")])]
    if "{seed}" not in pattern:  # another of its kind
        paths[1] = paths[0].with_name(f"other{paths[0].suffix}")
    own, other = (write(path, seed=i, results=results) for i, path in enumerate(paths))
    identity = integrity.identity(own)
    assert identity == Identity(pattern.format(**NAMES), MADE)
    integrity.check(own, {identity.digest})
    whole, stat = own.read_bytes(), own.stat()

    @settings(max_examples=15)
    @given(st.integers(0, len(whole) - 1), st.integers(0, 7))
    def flipped(place, bit):
        own.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        os.utime(own, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        refused(own)

    @settings(max_examples=8)
    @given(st.integers(0, len(whole) - 1), st.binary(max_size=9))
    def cut(length, more):
        own.write_bytes(whole[:length] + (more if whole[:length] + more != whole else b""))
        refused(own)

    flipped(), cut()
    own.write_bytes(other.read_bytes())
    assert f"another's file, {integrity.identity(other).path}" in refused(own)
    own.write_bytes(whole)
    assert "another configuration" in refused(own, {Identity(identity.path, OTHER).digest})
    own.write_bytes(b"{}\n")
    assert "earlier version" in refused(own)


@pytest.mark.parametrize("name", ["x.safetensors", "x.parquet", "x.jsonl", "x.json", "trace.json"])
def test_a_file_reads_as_before_and_is_the_same_whatever_identity_it_had(tmp_path, name):
    read = {".safetensors": lambda p: files.ArrayFile(p)["x"].tolist(), ".json": files.read_json,
            ".jsonl": files.read_lines, ".parquet": lambda p: files.read_columns(p)["value"].tolist()}  # fmt: skip
    path = tmp_path / "run" / name
    kinds = [Identity(f"run/{name}", MADE), Identity(f"a/much/longer/name/of/run/{name}", OTHER)]
    found = []
    for identity in (kinds[0], kinds[1], kinds[0]):
        write(path) if not path.exists() else None
        integrity.embed(path, identity)
        found.append((path.read_bytes(), read[path.suffix](path), integrity.content(path)))
    assert found[0] == found[2] and found[0][1:] == found[1][1:] and found[0][0] != found[1][0]


def test_a_record_of_reversed_labels_is_found_though_its_checksum_is_right(tmp_path):
    n = 4
    path, labels = tmp_path / "records" / "seed0.safetensors", np.array([0, 1, 1, 0])
    head = artifacts.Head(np.ones((2, 3)))
    expected = set()
    for label, made in ((labels, MADE), (1 - labels, OTHER)):
        record = artifacts.Record(np.arange(n), label, np.zeros((n, 2), np.float32), np.ones((n, 3), np.float32))
        artifacts.write_records(path, {"test": record}, head)
        with pytest.raises(UserError, match="carries no identity"):
            integrity.check(path)
        integrity.embed(path, Identity("records/seed0.safetensors", made))
        expected = expected or {integrity.identity(path).digest}
        integrity.check(path)
    refused(path, expected)


def test_fetched_files_are_those_of_their_provenance(tmp_path):
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    for name in ("weights", "sub/config", "extra"):
        (folder / name).write_text(name)
    listed = {name: integrity.sha256(folder / name) for name in ("weights", "sub/config")}
    provenance = tmp_path / "provenance.json"
    files.write_json(provenance, {"files": {**listed, "old.bin": "0"}, "made": {}, "gone": ["old.bin"]})
    with pytest.raises(UserError, match=r"extra: was not fetched; delete .*provenance.json and run again"):
        integrity.check_fetched(provenance)
    (folder / "extra").unlink()
    (folder / ".snakemake_timestamp").touch()
    integrity.check_fetched(provenance)
    (folder / "weights").write_text("weighty")
    with pytest.raises(UserError, match="weights: damaged"):
        integrity.check_fetched(provenance)
    (folder / "weights").unlink()
    with pytest.raises(UserError, match="weights: missing"):
        integrity.check_fetched(provenance)


# -- jobs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    read: list[program.Input]
    made: program.Output


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A job that reads records of two seeds: its exit status, what it printed, whether it computed."""
    results = tmp_path / "results"
    monkeypatch.setenv(integrity.RESULTS, str(results))
    monkeypatch.setenv("PEFTUQ_STORE", str(results / ".store"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(program.gc, "set_threshold", lambda *_: None)
    read = [write(results / f"records/seed{seed}.json", seed=seed, results=results) for seed in (0, 1)]
    expected = frozenset(integrity.identity(path).digest for path in read)

    def job(made: Made = MADE):
        computed = []

        def main(args, log):
            computed.append(True)
            files.write_json(args.made, {"sum": sum(files.read_json(path)["value"] for path in args.read)})

        words = ["script.py", "--read", *map(str, read), "--made", str(results / "sum.json"), "--code", "abc"]
        monkeypatch.setattr(sys, "argv", [*words, "--identity", str(integrity.Job(made, expected))])
        try:
            program.run(None, Arguments, main)
            status = 0
        except SystemExit as ended:
            status = ended.code
        return SimpleNamespace(status=status, printed=capsys.readouterr().err.splitlines(), computed=bool(computed))

    job.read, job.made = read, results / "sum.json"
    return job


def test_a_job_refuses_swapped_inputs_before_it_computes(run):
    assert run().status == 0
    integrity.check(run.made)
    before = run.made.read_bytes()
    first, second = run.read
    aside = first.rename(first.with_suffix(".aside"))
    second.rename(first), aside.rename(second)
    found = run()
    assert (found.status, found.computed, len(found.printed)) == (2, False, 1)
    assert f"{first}: is another's file, records/seed1.json; delete it and run again" in found.printed[0]
    assert run.made.read_bytes() == before


def test_a_result_that_comes_back_has_the_identity_of_the_job_that_asked(run):
    """An equal result of other inputs' code: the same content, for which nothing is computed again."""
    assert run().computed
    first, content = run.made.read_bytes(), integrity.content(run.made)
    for path in run.read:
        integrity.embed(path, integrity.identity(path))  # written anew
    found = run(OTHER)
    assert not found.computed and "reused" in found.printed[0]
    integrity.check(run.made, {Identity("sum.json", OTHER).digest})
    assert integrity.content(run.made) == content and run.made.read_bytes() != first
    run.made.unlink()
    assert not run(MADE).computed and run.made.read_bytes() == first


def test_files_that_are_not_named_are_checked_against_the_runs_list(tmp_path):
    results = tmp_path / "results"
    path = write(results / "metrics/x.json", results=results)
    arguments = Arguments(read=[], made="x", identity=str(integrity.Job(MADE, frozenset())))
    program.checks(arguments, str(results))(str(path))
    for made in (MADE, OTHER):
        listed = {"metrics/x.json": Identity("metrics/x.json", made).digest}
        files.write_json(results / ".identities.json", listed)
        check = program.checks(arguments, str(results))
        if made == MADE:
            check(str(path))
        else:
            with pytest.raises(UserError, match=r"x\.json: made from another configuration"):
                check(str(path))


# -- plans ---------------------------------------------------------------------------------------------


def test_every_file_of_a_run_that_a_job_reads_has_an_identity_of_its_own(jobs):
    paths, of = jobs.paths, jobs.context.identities.of
    unread = {paths.metrics_csv, paths.report, paths.report_files, paths.tables, paths.figures, paths.html_report}
    made = {path: of(path) for path in outputs.outputs(jobs) if path not in unread}
    assert [path for path, found in made.items() if found is None] == []
    assert len({found.digest for found in made.values()}) == len(made)
    assert {found.path for found in made.values()} == {path.removeprefix(f"{paths.results}/") for path in made}


def test_an_identity_changes_with_all_that_it_rests_on_and_nothing_else(jobs, tmp_path):
    again, other = study(tmp_path / "again"), study(tmp_path / "other", limit={"train": 7})
    for path in outputs.outputs(jobs):
        below = path.removeprefix(jobs.paths.results)
        own, same, changed = (one.context.identities.of(f"{one.paths.results}{below}") for one in (jobs, again, other))
        assert own == same  # wherever the results are
        if below.startswith(("/models", "/sources")):
            assert own == changed
        elif own is not None and not below.startswith("/data"):  # a shift set trains nothing
            assert own.digest != changed.digest


def test_the_text_on_a_command_is_the_one_that_is_read(jobs):
    adapter = next(iter(jobs.study.adapters))
    w = SimpleNamespace(**adapter._asdict())
    job = integrity.Job.parse(jobs.extract.identity(w))
    records = jobs.context.identities.of(jobs.paths.records(*adapter))
    assert records.made == job.made
    assert jobs.context.identities.of(jobs.paths.adapter(*adapter)).digest in job.expected
    assert jobs.context.identities.of(jobs.paths.records(*adapter)).digest not in job.expected


def test_the_list_of_the_run_has_what_its_gatherers_read(jobs):
    jobs.render_report.identity(None)
    jobs.context.identities.start()
    listed = json.loads(Path(jobs.paths.identities).read_text())
    wanted = [jobs.paths.metrics_table, *jobs.aggregate.metrics, *jobs.render_report.inputs(None)["scores"]]
    assert {path.removeprefix(f"{jobs.paths.results}/") for path in wanted} <= listed.keys()


@pytest.mark.parametrize("path, results, below", [
    ("results/data/x.parquet", "results", "data/x.parquet"),
    ("/a/results/data/x.parquet", "/a/results", "data/x.parquet"),
    (".snakemake/storage/s3/results/run/results/data/x.parquet", "results", "data/x.parquet"),
])  # fmt: skip
def test_paths_are_those_below_results_wherever_a_provider_keeps_them(path, results, below):
    assert integrity.relative(path, results) == below

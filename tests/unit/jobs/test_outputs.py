"""Results that were removed after a run, and names that no rule would make."""

from types import SimpleNamespace

import pytest

from peftuq.config import methods
from peftuq.errors import UserError
from peftuq.files import write_json
from peftuq.jobs import outputs
from peftuq.paths import Paths
from peftuq.plugins import Score


def report(tmp_path):
    paths = Paths(str(tmp_path / "results"), str(tmp_path / "reports"))
    for folder in (paths.tables, paths.figures):
        (tmp_path / "reports" / folder.rsplit("/", 1)[1]).mkdir(parents=True)
    (tmp_path / "reports/report.pdf").touch()
    (tmp_path / "reports/tables/a.csv").touch()
    write_json(paths.report_files, ["tables/a.csv"])
    return SimpleNamespace(paths=paths)


def test_a_table_that_was_removed_is_named(tmp_path):
    jobs = report(tmp_path)
    outputs.check_report(jobs)
    (tmp_path / "reports/tables/a.csv").unlink()
    with pytest.raises(UserError, match=r"a\.csv: was removed.*delete .*report\.pdf"):
        outputs.check_report(jobs)
    (tmp_path / "reports/report.pdf").unlink()
    outputs.check_report(jobs)


@pytest.mark.parametrize("name, valid", [("knn5", True), ("Knn", False), ("k-nn", False), ("5nn", False)])
def test_a_plugins_name_is_one_that_paths_match(tmp_path, name, valid):
    (tmp_path / f"{name}.py").write_text('SCORE = Score(version=1, reads="records", variants=["x"])\n')
    if valid:
        assert list(methods._files(tmp_path, Score)) == [name]
    else:
        with pytest.raises(UserError, match="rename it"):
            methods._files(tmp_path, Score)

"""What jobs are started with."""

import shlex
import subprocess
import sys

import pytest

from peftuq.errors import UserError
from peftuq.jobs.environment import check_interpreter


@pytest.mark.parametrize("folder", ["plain", "a b", "it's", "{x}", "a$b", "a;b"])
def test_an_interpreter_that_stands_unquoted_in_a_command(tmp_path, folder):
    link = tmp_path / folder / "python"
    link.parent.mkdir()
    link.symlink_to(sys.executable)
    starts = subprocess.run(f"{link} -c ''", shell=True, capture_output=True).returncode == 0
    if folder == "plain":
        check_interpreter(str(link))
        assert starts
    else:
        assert shlex.quote(str(link)) != str(link)
        with pytest.raises(UserError, match="put the virtual environment elsewhere"):
            check_interpreter(str(link))

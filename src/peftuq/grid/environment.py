"""What every job of the workflow finds in its environment."""

import os
import sys
from pathlib import Path


def export_environment(root: Path, results: str) -> None:
    """Let jobs run this interpreter and the library and scripts of the checkout `root`, without the hub.

    What they make below `results` is kept for reuse in its folder `.store`.

    Fetching rules alone switch the hub on again, for themselves.
    """
    os.environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root / "src"),
        "PEFTUQ_SCRIPTS": str(root / "workflow" / "scripts"),  # whatever the working directory
        "PEFTUQ_STORE": f"{results}/.store",
        "PYTHONHASHSEED": "0",  # PEFT writes sets: the same adapter is to be the same bytes
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }

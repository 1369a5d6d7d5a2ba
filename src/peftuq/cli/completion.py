"""A script by which a shell completes the commands and options of `peftuq`.

examples:
  peftuq completion bash > ~/.local/share/bash-completion/completions/peftuq
  peftuq completion zsh > ~/.zfunc/_peftuq
"""

import argparse
from collections.abc import Iterable

from peftuq import cli


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(args: argparse.Namespace) -> Iterable[str]:
    import shtab

    return [str(shtab.complete(cli.parser(), args.shell))]

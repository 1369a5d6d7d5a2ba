"""`python -m peftuq.cli`: the commands where no console script is on the path."""

from peftuq.cli import main

main()

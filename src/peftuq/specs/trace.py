"""The spec of a job that follows an ensemble through its training."""

from pydantic import PositiveInt

from peftuq.strict import Strict


class Trace(Strict):
    """`sizes` of the ensembles whose curves are drawn; `shown`: members whose examples are kept one by one."""

    sizes: list[PositiveInt]
    shown: PositiveInt

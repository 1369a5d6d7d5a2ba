"""Rows of a dataset's splits, as the configuration's source gives them and its limits cut them."""

from peftuq.config.study import Study
from peftuq.errors import UserError


def rows(study: Study, dataset: str) -> dict[str, int]:
    """Rows of train, valid and test. Raises `UserError` for a dataset without `size`."""
    size, prepared = study.dataset(dataset).size, study.preparation(dataset)
    if size is None:
        raise UserError(f"config/datasets/{dataset}.yaml: key 'size' is missing: planning needs rows and tokens")
    found = prepared.splits.sizes(size.rows)
    return {part: min(n, prepared.limit.get(part, n)) for part, n in found.items()}

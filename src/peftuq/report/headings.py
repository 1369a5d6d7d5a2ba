"""Names of settings at the heads of rows and columns."""

from collections.abc import Sequence

from peftuq.cells import Setting
from peftuq.report.run import Run
from peftuq.report.tables import Column

SPREAD = "mean ± standard deviation over the seeds"


class Headings:
    """The names of one section's settings; a recipe is named only where there are several."""

    def __init__(self, run: Run, settings: Sequence[Setting]):
        self._titles = {name: model["title"] for name, model in run.models.items()}
        self._several = len({setting.recipe for setting in settings}) > 1

    def model(self, setting: Setting) -> str:
        return self._titles[setting.model] + (f", {setting.recipe}" if self._several else "")

    def setting(self, setting: Setting) -> str:
        return f"{self.model(setting)} on {setting.dataset}"

    def column(self, setting: Setting) -> Column:
        return Column(setting.dataset, self.model(setting))

"""Needs of the rule of reference_posterior.smk: approximate posteriors beside the exact one."""

from typing import Any

from peftuq.jobs.rule import Rule, canonical
from peftuq.specs import posterior


class ComparePosteriors(Rule):
    script = "compare_posteriors"

    def outputs(self) -> list[str]:
        """All comparisons of the run's suites."""
        return [self._paths.posterior_comparison(*adapter) for adapter in self._study.gold]

    def inputs(self, w: Any) -> str:
        return self._paths.records(*self._context.adapter(w))

    def spec(self, w: Any) -> str:
        adapter = self._context.adapter(w)
        chosen = self._study.gold[adapter].model_dump(exclude={"model", "dataset", "recipe"})
        return canonical(posterior.ComparePosteriors(**chosen, evals=self._study.evals(adapter.setting)))

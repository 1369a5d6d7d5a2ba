"""Jobs of a run by rule: how many are done, running and failed, and when the rest will be."""

from dataclasses import dataclass, field


@dataclass
class Rule:
    """A rule's jobs; `seconds`: how long those took that are done."""

    total: int
    done: int = 0
    seconds: float = 0.0
    running: dict[int, float] = field(default_factory=dict)  # job → when it started, seconds
    failed: set[int] = field(default_factory=set)  # jobs whose last attempt did

    @property
    def left(self) -> int:
        """Jobs that neither ended nor run."""
        return self.total - self.done - len(self.failed) - len(self.running)


class Counts:
    """Counts of a run that began at `now`; all times are seconds of one clock."""

    def __init__(self, totals: dict[str, int], now: float):
        self.rules = {rule: Rule(total) for rule, total in totals.items()}
        self.start = now
        self._rule_of: dict[int, str] = {}

    def started(self, job: int, rule: str, now: float) -> None:
        self._rule_of[job] = rule
        here = self.rules.setdefault(rule, Rule(0))
        here.failed.discard(job)
        here.running[job] = now

    def ended(self, job: int, now: float, failed: bool = False) -> None:
        """Count a job that was started; another one is not counted."""
        rule = self.rules.get(self._rule_of.get(job, ""))
        began = rule.running.pop(job, None) if rule else None
        if rule is None or began is None:
            return
        if failed:
            rule.failed.add(job)
        else:
            rule.done += 1
            rule.seconds += now - began

    @property
    def done(self) -> int:
        return sum(rule.done for rule in self.rules.values())

    @property
    def total(self) -> int:
        return sum(rule.total for rule in self.rules.values())

    def remaining(self, now: float, of: str | None = None) -> float | None:
        """Seconds until a rule's jobs, or by default all, will be done; None before any job is.

        A job takes as long as the others of its rule did, or, before one of them is done, as all others did. The work
        that is left is divided among as many jobs at a time as were running on average.
        """
        if self.done == 0:
            return None
        spent = sum(rule.seconds for rule in self.rules.values())
        mean = spent / self.done
        left = sum(self._left(rule, mean, now) for name, rule in self.rules.items() if of in (None, name))
        begun = sum(now - began for rule in self.rules.values() for began in rule.running.values())
        at_a_time = (spent + begun) / max(now - self.start, 1e-9)
        return left / max(at_a_time, 1.0)

    def _left(self, rule: Rule, mean: float, now: float) -> float:
        each = rule.seconds / rule.done if rule.done else mean
        return rule.left * each + sum(max(each - (now - began), 0.0) for began in rule.running.values())

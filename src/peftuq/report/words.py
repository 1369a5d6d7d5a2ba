"""Small words that sentences computed from data need."""


def counted(number: int, name: str) -> str:
    """Count in words, such as: 1 setting, 3 settings."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def signed(points: float) -> str:
    """A difference in points with one decimal and a true minus sign; no sign before a zero."""
    printed = f"{points:+.1f}"
    return printed.lstrip("+-") if float(printed) == 0 else printed.replace("-", "−")

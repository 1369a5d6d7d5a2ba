"""The largest batch that a job may meet."""

from typing import NamedTuple


class Shape(NamedTuple):
    """A batch: examples, and tokens in each."""

    rows: int
    length: int

    @property
    def tokens(self) -> int:
        return self.rows * self.length


def longest(max_length: int, max_tokens: int, max_rows: int) -> Shape:
    """The batch of most tokens among those of equally long examples; of equal ones, that of the longest examples.

    At most `max_rows` examples of `max_length` tokens, and `max_tokens` tokens unless one example is longer.
    """
    shapes = [Shape(1, max_length)]
    for rows in range(2, max_rows + 1):
        length = min(max_length, max_tokens // rows)
        if length == 0:
            break
        shapes.append(Shape(rows, length))
    return max(shapes, key=lambda shape: (shape.tokens, shape.length))

"""From an adapter and labelled rows to scored rows."""

import peftuq


def test_whole_path(mine):
    print(mine.compared.head(12).to_string())
    print((mine.uq / "card.md").read_text())
    found = peftuq.score(mine.uq, mine.new, risk=0.3)
    print(found.head())
    assert len(found) == len(mine.new)

"""A table as a LaTeX `table` environment with booktabs rules, to be \\input into an article."""

from peftuq.report.tables import Entry, Table, groups, printed_rows

_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda"}
_GREEK |= {"μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "Δ": "Delta", "Σ": "Sigma"}
_ESCAPED = {
    **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line's end a bare bracket would be read as a length
    "]": "{]}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "‖": r"$\Vert$",
    "²": r"$^2$",
    "→": r"$\rightarrow$",
    "–": "--",
    "…": r"\dots{}",
    "’": "'",
    "“": "``",
    "”": "''",
    "\N{NO-BREAK SPACE}": "~",
}
_ALIGNED = {"left": "l", "right": "r", "center": "c"}
_FITTED = r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
_TEXT_WIDTH = 0.75  # of a line, for all columns of wrapped text together


def to_latex(table: Table) -> str:
    """One `tabular` a block, in a `table` environment with its caption above and its footnotes below."""
    lines = ["% needs \\usepackage{booktabs,graphicx}", r"\begin{table}[htbp]", r"\centering", r"\footnotesize"]
    lines += [r"\setlength{\tabcolsep}{4pt}", rf"\caption{{{escape(table.title)} {escape(table.caption)}}}"]
    lines.append(rf"\label{{tab:{table.name.replace('_', '-')}}}")
    for block in table.blocks():
        lines += [r"\par\medskip", f"\\sbox0{{%\n{_tabular(table, block)}}}%", _FITTED]
    notes = [rf"\textsuperscript{{{table.mark(note)}}} {escape(note)}" for note in table.notes]
    notes += [escape(remark) for remark in table.remarks]
    if notes:
        lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\raggedright\scriptsize"]
        lines += ["\\\\\n".join(notes), r"\end{minipage}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _tabular(table: Table, block: Table) -> str:
    shares = sum(column.width for column in block.columns)
    kinds = "l" * len(block.stub) + "".join(
        f"p{{{_TEXT_WIDTH * c.width / shares:.2f}\\linewidth}}" if c.width else _ALIGNED[c.align] for c in block.columns
    )
    lines = [rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", r"\toprule", *_group_lines(block)]
    lines += [_line([*map(escape, block.stub), *(escape(column.label) for column in block.columns)]), r"\midrule"]
    for index, row in enumerate(printed_rows(block)):
        if row.rule and index:
            lines.append(r"\addlinespace")
        if row.heading:
            span = len(block.stub) + len(block.columns)
            lines.append(rf"\multicolumn{{{span}}}{{@{{}}l}}{{\emph{{{escape(row.heading)}}}}} \\")
        lines.append(_line([*map(escape, row.labels), *(_entry(table, entry) for entry in row.entries)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _group_lines(block: Table) -> list[str]:
    fields, rules, position = ["" for _ in block.stub], [], len(block.stub) + 1
    for name, span in groups(block):
        fields.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}")
        rules += [rf"\cmidrule(lr){{{position}-{position + span - 1}}}"] if name else []
        position += span
    return [_line(fields), "".join(rules)] if rules else []


def _line(fields: list[str]) -> str:
    return " & ".join(fields) + r" \\"


def _entry(table: Table, entry: Entry) -> str:
    text = escape(entry.plain)
    if entry.gap:
        text = rf"\emph{{{text}}}"
    if entry.best:
        text = rf"\textbf{{{text}}}"
    return text + (rf"\textsuperscript{{{table.mark(entry.note)}}}" if entry.note else "")


def escape(text: str) -> str:
    """Text that prints as it reads: LaTeX's special characters, and the symbols that reports use."""
    return "".join(_ESCAPED.get(character, character) for character in text)

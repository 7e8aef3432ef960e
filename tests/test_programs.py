import pytest

from tttlab.programs import find_program


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Here:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\nIt prints\n```\n1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\nBetter:\n```py\nx = 2\n```", "x = 2\n"),
        ("```python\nx = 1\nwhile x", "x = 1\nwhile x"),
        ("1. As code:\n   ```python\n   if x:\n       y = 1\n   ```", "if x:\n    y = 1\n"),
        ("def solution():\n    return 56", "def solution():\n    return 56"),
        ("Sure.\nimport math\nprint(math.pi)", "import math\nprint(math.pi)"),
        ("```bash\npip install x\n```", None),
        ("```python\n```", None),
        ("The answer is 56", None),
        ("Import taxes from 1990 are 56", None),
        ("", None),
    ],
)
def test_the_program_is_found(text, program):
    assert find_program(text) == program

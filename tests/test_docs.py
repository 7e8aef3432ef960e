"""What the documents say is what there is."""

from tests import models_page, strategies_page
from tests.schema_page import PAGE, page


def test_the_schema_page_is_the_one_that_the_views_make():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.schema_page`"


def test_every_public_column_is_explained():
    assert [line for line in page().splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_the_strategies_page_is_the_one_that_the_code_makes():
    said = strategies_page.PAGE.read_text(encoding="utf-8")
    assert said == strategies_page.page(), "run `python -m tests.strategies_page`"


def test_the_models_page_is_the_one_that_the_hosts_make():
    said = models_page.PAGE.read_text(encoding="utf-8")
    assert said == models_page.page(), "run `python -m tests.models_page`"

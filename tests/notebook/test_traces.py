"""`%traces` and `%%traces` in a real kernel."""

import pytest

from tests.notebook.markup import text_of


@pytest.fixture
def asked(kernel):
    """The kernel after a run of three calls, bound to `run`."""
    assert kernel.run("%%think -m quick -s self_consistency -p samples=3 -o run\nWhat?").status == "ok"
    return kernel


def test_sql_gives_a_table(asked):
    ran = asked.run("%traces SELECT answer, calls FROM runs WHERE run_id = $run")
    [result] = ran.of("execute_result")
    assert result["data"]["text/plain"].splitlines() == ["answer  calls", "──────  ─────", "56          3", "1 row"]
    assert text_of(result["data"]["text/html"]) == "answercalls5631 row"


def test_a_cell_may_hold_several_statements_each_with_its_variables(asked):
    ran = asked.run(
        "%%traces\nCREATE OR REPLACE TEMP TABLE mine AS SELECT answer FROM calls WHERE run_id = $run;\n"
        "-- the $nothing in a comment asks for nothing, nor does '$this'\n"
        "SELECT count(*) AS n FROM mine WHERE answer <> '$this';"
    )
    assert ran.plain.splitlines()[2].strip() == "3", ran.tracebacks


@pytest.mark.parametrize("value", ["'; DROP TABLE runs; --", "it's", 'a "quote"', "{a}", "$run"])
def test_a_variable_is_bound_and_never_pasted(asked, value):
    asked.run(f"value = {value!r}")
    ran = asked.run(
        "%traces -o df --as arrow SELECT $value AS value, '$value' AS text, $$ $value $$ AS dollars, 1 AS one -- $x"
    )
    assert ran.status == "ok", ran.tracebacks or ran.streams
    [row] = eval(asked.value("df.to_pylist()"))
    assert row == {"value": value, "text": "$value", "dollars": " $value ", "one": 1}


def test_braces_in_sql_are_sqls_own(asked):
    asked.run("k = 1")
    ran = asked.run("%traces -o df --as arrow SELECT {'k': 2, 'b': $k} AS made, '{k}' AS text")
    assert asked.value("df.to_pylist()") == "[{'made': {'k': 2, 'b': 1}, 'text': '{k}'}]", ran.tracebacks


@pytest.mark.parametrize(
    ("kind", "is_a"), [("", "pandas"), ("--as pandas", "pandas"), ("--as=polars", "polars"), ("--as arrow", "pyarrow")]
)
def test_o_binds_a_data_frame_and_shows_the_rows(asked, kind, is_a):
    ran = asked.run(
        f"%%traces -o frame {kind}\nSELECT status, count(*) AS n FROM calls WHERE run_id = $run GROUP BY status"
    )
    assert ran.of("execute_result") == []
    assert "ok" in ran.plain
    assert asked.value("type(frame).__module__.split('.')[0], frame.shape") == f"('{is_a}', (1, 2))"


def test_the_rows_may_be_hidden_or_assigned(asked):
    assert asked.run("%traces -q -o frame SELECT 1 AS one").bundles == []
    asked.run("rows = %traces SELECT 1 AS one UNION ALL SELECT 2")
    assert asked.value("len(rows)") == "2"
    asked.run("import polars, pyarrow")
    assert asked.value("polars.DataFrame(rows)['one'].to_list(), pyarrow.table(rows).num_rows") == "([1, 2], 2)"
    asked.run("frame = %traces --as polars SELECT 1 AS one")
    assert asked.value("type(frame).__module__.split('.')[0]") == "polars"


def test_n_bounds_the_rows_that_are_shown(asked):
    ran = asked.run("%traces -n 2 SELECT * FROM range(1234)")
    assert ran.plain.splitlines()[-1] == "… 1,234 rows in all"
    assert len(ran.plain.splitlines()) == 5


def test_without_sql_the_views_are_listed_each_with_what_it_holds(asked):
    ran = asked.run("%traces")
    listed = [line.split()[0] for line in ran.plain.splitlines()[2:-1]]
    assert {"runs", "calls", "tokens", "answers", "votes", "branches", "verdicts", "usage", "spans"} <= set(listed)
    assert "whole_spans" not in listed
    assert len(set(listed)) == len(listed)
    assert "One row a model call" in ran.plain
    assert asked.run("%%traces\n\n").plain == ran.plain
    for view in listed:
        assert asked.run(f"%traces SELECT * FROM {view} LIMIT 1").status == "ok"


@pytest.mark.parametrize(
    "cell", ["%%traces\nSELECT *\nFROM runs\nWHER answer = $run", "%%traces\nSELECT *\nFROM runs\nWHER 1"]
)
def test_a_mistake_in_sql_is_told_with_its_place_and_without_a_traceback(asked, cell):
    ran = asked.run(cell)
    assert (ran.status, ran.ename) == ("error", "QueryError")
    [said] = ran.tracebacks
    assert said.startswith("QueryError: Parser Error")
    assert "LINE 3: WHER" in said
    assert "^" in said
    assert "File" not in said


def test_a_binder_mistake_names_what_there_is(asked):
    [said] = asked.run("%traces SELECT anser FROM runs").tracebacks
    assert "anser" in said
    assert "answer" in said
    assert "LINE 1" in said


def test_one_connection_is_kept_and_sees_what_comes_later(asked):
    count = "%traces -o n --as arrow SELECT count(*) AS n FROM runs"
    asked.run(count)
    asked.run("before = n.to_pylist()[0]['n']\nmagics = get_ipython().magics_manager.registry['TttlabMagics']")
    asked.run("first = magics._store.get()")
    asked.run("%%think -m quick -o run\nWhat?")
    asked.run(count)
    assert asked.value("n.to_pylist()[0]['n'] - before, magics._store.get() is first") == "(1, True)"


def test_another_folder_of_traces_is_another_store(asked):
    asked.run("import tttlab\ntttlab.configure(traces='elsewhere')")
    try:
        ran = asked.run("%traces SELECT run_id FROM runs")
        *_, counted, said = ran.plain.splitlines()
        folder = asked.value("str(tttlab.options.store_folder())")
        assert (counted, folder.endswith("elsewhere/store")) == ("0 rows", True)
        assert said.startswith(f"no run is recorded yet in {folder} (")
        assert said in text_of(ran.html)
        asked.run("%%think -m quick\nWhat?")
        assert asked.run("%traces SELECT answer FROM runs").plain.splitlines()[-1] == "1 row"
        assert asked.run("%traces SELECT answer FROM runs WHERE false").plain.splitlines()[-1] == "0 rows"
    finally:
        asked.run("tttlab.configure(traces=None)")
    assert asked.run("%traces SELECT * FROM runs WHERE run_id = $run").plain.splitlines()[-1].startswith("1 row")


def test_an_interrupt_stops_a_query_and_the_connection_goes_on(asked):
    asked.run("%traces SELECT 1")
    asked.run(
        "import threading\nfirst = threading.Lock()\ndef begun(number):\n"
        "    if first.acquire(blocking=False):\n        print('begun', flush=True)\n    return number\n"
        "connection = get_ipython().magics_manager.registry['TttlabMagics']._store.get()\n"
        "connection.create_function('begun', begun, ['BIGINT'], 'BIGINT')"
    )
    endless = "%traces SELECT count(*) FROM range(1000000000000) AS a WHERE begun(a.range) % 7 = 3"
    ran = asked.run(endless, when=lambda message: message["msg_type"] == "stream", then=asked.interrupt)
    assert (ran.status, ran.ename) == ("error", "KeyboardInterrupt")
    assert ran.tracebacks == ["KeyboardInterrupt: the query was stopped"]
    again = asked.run("%traces SELECT 1 AS one")
    assert again.status == "ok", again.tracebacks
    assert again.plain.splitlines()[2].strip() == "1"

"""The magics: parse, call, show. What they do is done elsewhere, and imported when a magic runs."""

# mypy: disable-error-code="untyped-decorator, no-untyped-call"
# IPython's decorators and `display` are untyped.

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments
from IPython.display import display

from tttlab.errors import OptionError, RunFailed
from tttlab.notebook.arguments import leading_options, read_options, strategy_parameters, variable_name, words_of
from tttlab.notebook.one_line_errors import errors_in_one_line
from tttlab.options import MODES

if TYPE_CHECKING:
    from tttlab.notebook.questions import KeptConnection
    from tttlab.notebook.watching import Follower
    from tttlab.run import Run


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a `%%think` cell asks for."""

    prompt: str
    options: Mapping[str, Any]
    output: str | None
    watched: bool
    silent: bool
    notes: Sequence[str]


@magics_class
class TttlabMagics(Magics):
    """`%%think`, `%%sweep`, `%think_config`, `%traces` and `%models`."""

    shell: Any

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._store: KeptConnection | None = None

    @magic_arguments("%think")
    @argument(
        "-s", "--strategy", metavar="NAME", help="strategy, such as self_consistency, or a variable that holds one"
    )
    @argument(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the strategy, such as samples=8; give -p once for each",
    )
    @argument("-m", "--model", metavar="NAME", help="model, such as local:smollm2, or a variable that holds one")
    @argument(
        "--budget",
        metavar="LIMIT",
        nargs="+",
        action="append",
        help='stop when this is spent: "2000 tokens", "30 s", "8 calls", $0.05, or several: "2000 tokens, 30 s"',
    )
    @argument("--seed", type=int, default=0, metavar="N", help="another seed is another run (default: 0)")
    @argument(
        "--reference", metavar="ANSWER", help="the right answer, if it is known: the run says whether it was found"
    )
    @argument(
        "--extract", metavar="RULE", help="how the answer is found in a text: final_answer, last_number, boxed ..."
    )
    @argument(
        "--replay",
        metavar="MODE",
        choices=MODES,
        help="recorded calls: reuse them and run the others (the default in a notebook), only them, or off",
    )
    @argument("--fresh", action="store_true", help="sample again, whatever is recorded: --replay off")
    @argument(
        "--pace", type=float, metavar="TIMES", help="replay this many times as fast as recorded (default: at once)"
    )
    @argument("--effort", metavar="LEVEL", help="how hard the model is to think, in its own levels, such as low")
    @argument(
        "--thinking-budget", type=int, metavar="TOKENS", help="how many tokens the model may think beside its answer"
    )
    @argument("-o", "--output", metavar="NAME", help="keep the run in this variable, also when it was interrupted")
    @argument("-q", "--quiet", action="store_true", help="no live view; the result is shown all the same")
    @needs_local_scope
    @no_var_expand
    @cell_magic
    def think(self, line: str, cell: str, local_ns: Mapping[str, Any] | None = None) -> Run | None:
        """Think about the text of the cell with a strategy, and record every token of it.

        {name}, {name.attribute} and {name['key'][0]} are filled in from your variables. Everything else in braces
        stays as it is written: LaTeX, JSON, unknown names, {{doubled}} braces.

        The cell's result is the run; with -o it is kept in a variable instead. An interrupt of the kernel stops the
        run and keeps what it had. A semicolon at the end of the cell hides the result.

            %%think -s self_consistency -p samples=8 --budget "2000 tokens" -o run
            What is {a} times {b}?
        """
        with errors_in_one_line():
            return self._run(self._asked(line, cell, {**self.shell.user_ns, **(local_ns or {})}))

    @magic_arguments("sweep")
    @argument("name", metavar="NAME", help="under which its runs are found again; started again, it goes on")
    @argument("-s", "--strategy", metavar="NAMES", help="strategies, or variables that hold one: direct,best_of_n")
    @argument(
        "-p",
        "--parameter",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="a parameter of the strategy, several values with commas: samples=1,4,16; give -p once for each",
    )
    @argument(
        "-g", "--grid", metavar="NAME", help="a variable that holds a grid, where strategies differ in parameters"
    )
    @argument("-m", "--model", metavar="NAMES", help="models, or variables that hold one, with commas")
    @argument("--problems", metavar="NAME", help="the variable that holds the task, or a list of problems")
    @argument("--seeds", default="0", metavar="N", help="0,1 or 0-4: each combination is run with each (default: 0)")
    @argument("--budget", metavar="LIMIT", nargs="+", action="append", help='of each run: "2000 tokens", "30 s", $0.05')
    @argument("--total", metavar="LIMIT", nargs="+", action="append", help="of all runs together, in the same units")
    @argument("--extract", metavar="RULE", help="how the answer is found in a text, instead of the problems' own rule")
    @argument("--effort", metavar="LEVELS", help="how hard the model is to think: low,high")
    @argument("--thinking-budget", metavar="TOKENS", help="how many tokens it may think beside its answer: 0,1000")
    @argument("--parallel", type=int, metavar="N", help="how many runs at once (default: as the model takes them)")
    @argument(
        "--replay", metavar="MODE", choices=MODES, help="recorded runs and calls: reuse (the default), only or off"
    )
    @argument("--fresh", action="store_true", help="run all again, whatever is recorded: --replay off")
    @argument("-y", "--yes", action="store_true", help="do not ask where the estimate is beyond the total")
    @argument("-o", "--output", metavar="NAME", help="keep the result in this variable, also when it was interrupted")
    @argument("-q", "--quiet", action="store_true", help="no progress bar; the result is shown all the same")
    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def sweep(self, line: str, cell: str = "", local_ns: Mapping[str, Any] | None = None) -> Any:
        """Run every combination of strategies, models, parameters and seeds on every problem.

        A text in the cell is put around each problem, whose own prompt stands where it says {problem}; without
        --problems the text is the problem. Started again, a sweep goes on where it stopped.

            %%sweep votes -s self_consistency -p samples=1,4,16 --seeds 0-4 --problems task --total "200000 tokens" -o r
            {problem} End with: The answer is N.
        """
        from tttlab.notebook.sweeping import swept

        with errors_in_one_line():
            namespace = {**self.shell.user_ns, **(local_ns or {})}
            return swept(self.shell, read_options(self.sweep.parser, words_of(line)), cell, namespace)

    @magic_arguments("traces")
    @argument("-o", "--output", metavar="NAME", help="keep the rows in this variable, as a data frame")
    @argument(
        "--as",
        dest="kind",
        metavar="KIND",
        choices=("pandas", "polars", "arrow"),
        help="which kind of data frame: pandas, polars or arrow (default: the first that is installed)",
    )
    @argument("-n", "--rows", type=int, default=20, metavar="N", help="show at most this many rows (default: 20)")
    @argument("-q", "--quiet", action="store_true", help="do not show the rows")
    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def traces(self, line: str, cell: str = "", local_ns: Mapping[str, Any] | None = None) -> Any:
        """Ask the store in SQL: every run, call and token that was recorded, in this notebook and elsewhere.

        Without SQL it lists the views there are. $name in the SQL is bound to the variable of that name.

            %traces SELECT run_id, answer, tokens FROM runs ORDER BY started DESC LIMIT 5

            %%traces -o votes
            SELECT answer, count(*) AS samples FROM calls WHERE run_id = $run GROUP BY answer
        """
        with errors_in_one_line():
            options, sql = leading_options(self.traces.parser, line)
            return self._answer(options, f"{sql}\n{cell}".strip(), {**self.shell.user_ns, **(local_ns or {})})

    @magic_arguments("%think_config")
    @argument("-s", "--strategy", metavar="NAME", help="the strategy of cells that name none")
    @argument("-m", "--model", metavar="NAME", help="the model of cells that name none")
    @argument("--traces", metavar="FOLDER", help="the folder of traces: a store of its own, or a bundle")
    @argument("--replay", metavar="MODE", choices=MODES, help="recorded calls: reuse, only or off")
    @argument("--allow-code", metavar="YES", help="whether programs that a model wrote may be run: true or false")
    @no_var_expand
    @line_magic
    def think_config(self, line: str) -> None:
        """Set what `%%think` does where its line says nothing, in this kernel. Without options: show what holds.

        As a notebook's first cell, this lets it run again from recorded traces, without a model and without a network:

            %think_config --replay only --traces traces/quickstart
        """
        from tttlab.options import DEFAULTS, configure, resolve, resolve_flag

        with errors_in_one_line():
            given = vars(read_options(self.think_config.parser, words_of(line)))
            if given["allow_code"] is not None:
                resolve_flag("allow_code", given["allow_code"])
            configure(**{name: value for name, value in given.items() if value is not None})
            held = {name: resolve(name) for name in DEFAULTS}
            sys.stdout.write("".join(f"{name:<11} {each.value}   ({each.source})\n" for name, each in held.items()))

    @magic_arguments("%models")
    @argument("host", nargs="?", metavar="HOST", help="list the models of this host: anthropic, vllm@http://gpu:8000")
    @argument("--check", action="store_true", help="ask every host whether it answers, not only local ones")
    @argument("--probe", metavar="NAME", help="ask this model for one token, and say what came")
    @argument("-n", "--rows", type=int, default=100, metavar="N", help="show at most this many rows (default: 100)")
    @no_var_expand
    @line_magic
    def models(self, line: str) -> Any:
        """Show the hosts of models: which have a key, which answer, and what their models can do.

        With a host's name: the models that it lists, with what each can do and costs. No key is ever shown.

            %models --probe vllm:qwen3
        """
        from tttlab.notebook.model_tables import models_told
        from tttlab.notebook.questions import Rows

        with errors_in_one_line():
            given = read_options(self.models.parser, words_of(line))
            table, note = models_told(given.host, probe=given.probe, check=given.check)
            return Rows(table, given.rows, note)

    def close(self) -> None:
        """Give up the connection to the store, if there is one."""
        if self._store is not None:
            self._store.close()

    def _asked(self, line: str, cell: str, namespace: Mapping[str, Any]) -> _Asked:
        from tttlab.notebook.interpolation import interpolate, misspelt
        from tttlab.notebook.variables import model_called, strategy_called

        given = read_options(self.think.parser, words_of(line))
        text = cell.strip("\n").rstrip()
        silent = text.endswith(";")
        written = text.removesuffix("\n;")
        return _Asked(
            prompt=interpolate(written, namespace),
            options={
                **strategy_parameters(given.parameter),
                "strategy": None if given.strategy is None else strategy_called(given.strategy, namespace),
                "model": None if given.model is None else model_called(given.model, namespace),
                "budget": None if given.budget is None else ", ".join(" ".join(words) for words in given.budget),
                "seed": given.seed,
                "reference": given.reference,
                "extract": given.extract,
                "replay": "off" if given.fresh else given.replay,
                "pace": given.pace,
                "effort": given.effort,
                "thinking_budget": given.thinking_budget,
            },
            output=None if given.output is None else variable_name(given.output),
            watched=not given.quiet,
            silent=silent,
            notes=misspelt(written, namespace),
        )

    def _run(self, asked: _Asked) -> Run | None:
        from tttlab.notebook.watching import Follower, screen_for
        from tttlab.portal import Interrupted
        from tttlab.thinking import think

        follower = Follower(screen_for(self.shell) if asked.watched else None)
        try:
            run = think(asked.prompt, observer=follower.observe, while_waiting=follower.pump, **asked.options)
        except RunFailed as failed:
            self._keep(failed.run, asked, follower, shown=True)
            raise
        except Interrupted as interrupted:
            self._keep(interrupted.result, asked, follower, shown=True)
            said = "the run was stopped" + (f", and is kept in {asked.output}" if asked.output else "")
        except KeyboardInterrupt:
            follower.close(None)
            began = follower.transcript.started is not None
            said = "the run did not stop in time and was given up" if began else "the run had not begun yet"
        except BaseException:
            follower.close(None)
            raise
        else:
            returned = asked.output is None and not asked.silent
            self._keep(run, asked, follower, shown=not returned and not asked.silent)
            return run if returned else None
        raise KeyboardInterrupt(said)

    def _keep(self, run: Run, asked: _Asked, follower: Follower, *, shown: bool) -> None:
        from tttlab.notebook.facts import trouble
        from tttlab.notebook.texts import remember

        if asked.output:
            self.shell.user_ns[asked.output] = run
        follower.take_in()
        remember(run, follower.transcript.calls, asked.notes)
        seen = follower.close(run if shown else None)
        if shown and not seen:
            display(run)
        if asked.silent and not shown:
            warned = [f"Warning: {said}"] if (said := trouble(run)) else []
            sys.stderr.writelines(f"{line}\n" for line in [*warned, *asked.notes])

    def _answer(self, options: Any, sql: str, namespace: Mapping[str, Any]) -> Any:
        from tttlab.notebook.questions import KeptConnection, Rows, as_data_frame, ask, views, why_empty

        if options.rows < 1:
            raise OptionError(f"cannot show {options.rows} rows: ask for at least 1, or for -q to show none")
        self._store = self._store or KeptConnection()
        table = ask(self._store.get(), sql, namespace) if sql else views()
        rows = Rows(table, options.rows, why_empty(self._store.get(), table))
        if options.output is None and options.kind is not None:
            return as_data_frame(table, options.kind)
        if options.output is None:
            return None if options.quiet else rows
        self.shell.user_ns[variable_name(options.output)] = as_data_frame(table, options.kind)
        if not options.quiet:
            display(rows)
        return None

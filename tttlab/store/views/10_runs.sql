-- One row a run: what was asked, how, what came of it and what it cost.
CREATE VIEW runs AS
SELECT
    run_id,                                          -- begins with the run's start in UTC, so it sorts by time; of an imported run with `imported-`, the file's digest and its number there
    make_timestamp(start_ns // 1000) AS started,     -- UTC; NULL where an imported log does not say it
    CASE WHEN end_ns IS NULL THEN 'incomplete' ELSE status END AS status,  -- ok, budget, stopped, failed; incomplete: still running, or its process was killed
    strategy,                                        -- its name
    attributes -> '$."tttlab.strategy.parameters"' AS parameters,          -- JSON, all of them, defaults included
    model,                                           -- its full name
    attributes ->> '$."tttlab.problem.prompt"' AS prompt,                  -- the question
    attributes ->> '$."tttlab.problem.reference"' AS reference,            -- the right answer, where it is known
    answer,                                          -- the last proposed answer
    confidence,                                      -- as the strategy gave it with the answer
    correct,                                         -- whether the answer equals the reference, or passes the problem's check; NULL without either
    calls,                                           -- model calls; NULL while incomplete, as all that follows
    prompt_tokens + output_tokens AS tokens,         -- what a budget in tokens counts
    prompt_tokens,                                   -- cached ones included
    cached_tokens,                                   -- of the prompt, read from a cache
    output_tokens,                                   -- thinking included
    thinking_tokens,                                 -- of the output, in the thinking channel
    dollars,                                         -- NULL where no price is known
    (end_ns - start_ns) / 1e9 AS seconds,            -- wall time
    seed,                                            -- the run's seed
    attributes -> '$."tttlab.run.budget"' AS budget,                       -- JSON, `{"tokens": 2000}`; NULL for none
    attributes ->> '$."tttlab.run.error"' AS error,                        -- what went wrong
    attributes ->> '$."tttlab.problem.id"' AS problem_id,                  -- the same problem in every run
    attributes ->> '$."tttlab.problem.extractor"' AS extractor,            -- rule@version that finds answers in texts
    attributes ->> '$."tttlab.problem.check"' AS "check",                  -- rule@version that says whether an answer is right
    attributes -> '$."tttlab.run.labels"' AS labels,                       -- JSON: what it is part of, `{"sweep": "pilot", "samples": 8}`
    attributes -> '$."tttlab.model.identity"' AS model_identity,           -- JSON: digest of the weights and the like
    attributes -> '$."tttlab.run.options"' AS options,                     -- JSON: resolved options and where each came from
    coalesce(TRY_CAST(attributes ->> '$."tttlab.replay.calls"' AS BIGINT), 0) AS replayed_calls,  -- of `calls`, served from their record; the other columns count them as when they ran
    coalesce(TRY_CAST(attributes ->> '$."tttlab.replay.new_tokens"' AS BIGINT), prompt_tokens + output_tokens) AS new_tokens,  -- of `tokens`, those of the other calls
    attributes -> '$."tttlab.run.environment"' AS environment,             -- JSON: package versions, platform, git commit
    attributes ->> '$."tttlab.imported.format"' AS imported,               -- the kind of log that it was read from; NULL for a run of tttlab's own
    trace_id,                                        -- of the OpenTelemetry trace
    span_key                                         -- of the run's span
FROM whole_spans
WHERE operation = 'invoke_workflow';

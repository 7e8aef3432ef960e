-- One row a proposed answer: the run's anytime curve. The last one of a run is its answer.
CREATE VIEW answers AS
SELECT
    span.run_id,                                     -- the run, as in `runs`
    span.sequence,                                   -- its place among the run's deliveries
    row_number() OVER (PARTITION BY span.run_id ORDER BY span.sequence) AS step,  -- 1 for the first proposal of its run
    span.answer,                                     -- normalised; NULL says "none yet"
    span.confidence,                                 -- as the strategy gives it
    span.correct,                                    -- against the reference; NULL without one
    (span.start_ns - run.start_ns) / 1e9 AS seconds, -- since the run's start
    span.prompt_tokens + span.output_tokens AS spent_tokens,              -- by the whole run until then, calls in flight included
    span.prompt_tokens AS spent_prompt_tokens,       -- of these, prompt
    span.output_tokens AS spent_output_tokens,       -- of these, output
    span.thinking_tokens AS spent_thinking_tokens,   -- of the output, thinking
    span.calls AS spent_calls,                       -- calls begun until then
    span.dollars AS spent_dollars,                   -- NULL where no price is known
    span.basis_prompt_tokens + span.basis_output_tokens AS basis_tokens,  -- of the calls that the answer rests on
    span.basis_output_tokens,                        -- of these, output
    span.basis_thinking_tokens,                      -- of the output, thinking
    span.basis_calls,                                -- how many calls it rests on
    span.basis_dollars,                              -- NULL where no price is known
    span.attributes -> '$."tttlab.vote.tally"' AS votes,                  -- JSON {value: weight}; NULL without a vote
    span.branch,                                     -- the branch that proposed it
    span.links,                                      -- JSON: the spans of the calls delivered since the proposal before
    span.span_key                                    -- the span id as a number
FROM whole_spans AS span
LEFT JOIN whole_spans AS run ON run.run_id = span.run_id AND run.operation = 'invoke_workflow'
WHERE span.name = 'propose' AND span.scope_name = 'tttlab'
    AND (span.attributes ->> '$."tttlab.answer.nested"') IS NULL;

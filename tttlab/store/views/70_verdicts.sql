-- One row a verification: which verifier said what of which candidate.
CREATE VIEW verdicts AS
SELECT
    run_id,                                          -- the run, as in `runs`
    sequence,                                        -- its place among the run's deliveries
    verifier,                                        -- its name
    candidate,                                       -- what was judged
    score,                                           -- in [0, 1] unless the verifier's documentation says otherwise
    passed,                                          -- NULL where the verifier does not decide
    attributes ->> '$."tttlab.verdict.explanation"' AS explanation, -- the verifier's own words
    attributes ->> '$."tttlab.verdict.error"' AS error,                   -- the verifier itself failed
    branch,                                          -- the branch that asked
    (end_ns - start_ns) / 1e9 AS seconds,            -- wall time
    make_timestamp(start_ns // 1000) AS started,     -- UTC
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- its calls, if it made any, have this span above them
    span_key                                         -- the span id as a number
FROM whole_spans
WHERE verifier IS NOT NULL;

-- One row a decision of an allocation: whose sample came next or who gets no more, and the numbers that it was taken on.
CREATE VIEW allocations AS
SELECT
    run_id AS allocation_id,                         -- begins with its start in UTC, as a run's id does
    TRY_CAST(attributes ->> '$."tttlab.decision.number"' AS INTEGER) AS number,    -- 1 for the first
    TRY_CAST(attributes ->> '$."tttlab.decision.round"' AS INTEGER) AS round,      -- samples of one round are drawn at once
    attributes ->> '$."tttlab.allocation.rule"' AS rule,                  -- posterior, difficulty, uniform
    attributes ->> '$."tttlab.decision.action"' AS action,                -- sample: one more; leave: no more
    attributes ->> '$."tttlab.decision.reason"' AS reason,                -- minimum, gain, share; stable, share, maximum, failed, budget, stopped
    attributes ->> '$."tttlab.decision.problem_id"' AS problem_id,        -- as in `runs`
    attributes ->> '$."tttlab.decision.run_id"' AS run_id,                -- the problem's run, as in `runs`
    attributes ->> '$."tttlab.decision.leader"' AS leader,                -- of the vote so far; NULL without one
    attributes -> '$."tttlab.decision.votes"' AS votes,                   -- JSON {value: votes}
    TRY_CAST(attributes ->> '$."tttlab.decision.seen"' AS INTEGER) AS seen,        -- samples that came, abstentions included
    TRY_CAST(attributes ->> '$."tttlab.decision.pending"' AS INTEGER) AS pending,  -- samples granted before it in the same round
    TRY_CAST(attributes ->> '$."tttlab.decision.stability"' AS DOUBLE) AS stability,  -- probability that the leader is the model's most frequent answer
    TRY_CAST(attributes ->> '$."tttlab.decision.gain"' AS DOUBLE) AS gain,         -- in stability, of one more sample; NULL where the rule goes by shares
    TRY_CAST(attributes ->> '$."tttlab.decision.share"' AS DOUBLE) AS share,       -- of the budget; NULL where the rule goes by gain
    TRY_CAST(attributes ->> '$."tttlab.decision.priority"' AS DOUBLE) AS priority, -- what it won by; NULL where the rule was not asked
    TRY_CAST(attributes ->> '$."tttlab.decision.spent"' AS DOUBLE) AS spent,       -- on the problem so far, in `unit`
    TRY_CAST(attributes ->> '$."tttlab.decision.cost"' AS DOUBLE) AS cost,         -- predicted, of one more sample; NULL before the first
    TRY_CAST(attributes ->> '$."tttlab.decision.left"' AS DOUBLE) AS "left",       -- of the total budget
    attributes ->> '$."tttlab.allocation.unit"' AS unit,                  -- of costs: tokens, calls, dollars, seconds
    make_timestamp(start_ns // 1000) AS started,     -- UTC
    (end_ns - start_ns) / 1e9 AS seconds,            -- until what it decided was done
    links,                                           -- JSON: the span of the problem's run
    span_key,                                        -- the span id as a number
    parent_key                                       -- likewise of the allocation's span
FROM whole_spans
WHERE name = 'decide' AND scope_name = 'tttlab';

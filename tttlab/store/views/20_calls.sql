-- One row a model call, with its identity, how it was sampled, what it gave and what it cost.
CREATE VIEW calls AS
SELECT
    run_id,                                          -- the run, as in `runs`
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- 16 hex digits
    branch,                                          -- path of the branch that asked; '' is the root
    ordinal,                                         -- its number among the same requests of that branch, from 0
    role,                                            -- generator, proposer, verifier, judge, refiner ...
    model,                                           -- as asked for
    CASE WHEN end_ns IS NULL THEN 'incomplete' ELSE status END AS status,  -- ok, failed, cancelled, incomplete
    cancelled_by,                                    -- strategy, budget, user
    finish_reason,                                   -- stop, length, content_filter, tool_call, error
    attributes ->> '$."tttlab.answer.raw"' AS raw_answer,                  -- as it stands in its text
    answer,                                          -- extracted from its text; NULL is an abstention
    correct,                                         -- whether that answer is right, an abstention is not; NULL: cut, or nothing to tell it by
    attributes -> '$."gen_ai.input.messages"' AS messages,                 -- JSON, as the conventions have it
    attributes ->> '$."gen_ai.output.messages"[0].parts[-1].content' AS text,  -- what it said last (its answer text)
    mean_logprob,                                    -- over its tokens; NULL where the model gives none
    prompt_tokens + output_tokens AS tokens,         -- what a budget in tokens counts
    prompt_tokens,                                   -- cached ones included
    cached_tokens,                                   -- of the prompt, read from a cache
    output_tokens,                                   -- thinking included
    thinking_tokens,                                 -- of the output, in the thinking channel
    2 * CAST(attributes ->> '$."tttlab.model.parameters"' AS BIGINT)
        * (prompt_tokens - cached_tokens + output_tokens)::DOUBLE AS flops, -- estimated: 2 x parameters x tokens computed; NULL where the size is unknown
    COALESCE((attributes ->> '$."tttlab.usage.estimated"')::BOOLEAN, false) AS estimated,  -- some counts are by length: the host gave none
    dollars,                                         -- NULL where no price is known
    attributes ->> '$."tttlab.cost.source"' AS price_source,  -- whose price, of what version and date
    make_timestamp(start_ns // 1000) AS started,     -- UTC
    (end_ns - start_ns) / 1e9 AS seconds,            -- wall time
    seconds_to_first,                                -- until its first token or chunk
    temperature,                                     -- of the sampling; 0 is greedy
    max_tokens,                                      -- as asked, before a budget clipped it
    seed,                                            -- of this call
    sequence AS delivered,                           -- its place among what the strategy was given; NULL if it never was
    digest,                                          -- with branch and ordinal: what makes it the same call in another run
    granularity,                                     -- token, chunk: what its rows in `tokens` are
    visibility,                                      -- of its thinking: full, summary, encrypted, omitted, none
    channel_source,                                  -- who says which text is thinking: model, strategy
    logprob_stage,                                   -- before_sampling, after_sampling
    attributes ->> '$."tttlab.replay.of"' AS replay_of,  -- the call that recorded it, 16 hex digits; NULL: it ran itself
    status_message AS error,                         -- what went wrong
    attributes -> '$."tttlab.call.notes"' AS notes,  -- JSON: what was asked and not sent, earlier attempts, and the like
    span_key,                                        -- joins with `tokens`
    parent_key                                       -- the span above it
FROM whole_spans
WHERE operation = 'chat';

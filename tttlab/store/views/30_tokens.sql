-- One row a delivery of a call: a token, or a chunk where the host gives no tokens.
CREATE VIEW tokens AS
SELECT
    run_id,                                          -- the run, as in `runs`
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- the call, as in `calls`
    position,                                        -- its number in the call, from 0
    sequence,                                        -- its number among all deliveries of the run
    channel,                                         -- thinking, answer
    "text",                                          -- as delivered; halves of a surrogate pair are U+FFFD
    token_id,                                        -- NULL where the host gives none
    logprob,                                         -- natural logarithm; see `calls.logprob_stage`
    entropy_topk::DOUBLE AS entropy_topk,            -- nats; a lower bound: all outside the top k counts as one outcome
    top,                                             -- the likeliest alternatives: [{token_id, text, logprob}]
    make_timestamp(time_ns // 1000) AS arrived,      -- UTC
    time_ns,                                         -- the same in nanoseconds since 1970
    granularity,                                     -- token, chunk
    merged,                                          -- several tokens that the host gave as one
    chunk_tokens,                                    -- how many tokens a chunk holds, where the host says it
    span_key                                         -- joins with `calls`
FROM stored_tokens;

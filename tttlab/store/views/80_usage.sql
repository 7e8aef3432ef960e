-- What each run spent, by model, role and status of the calls: add up what you need. Calls that never ended are left out,
-- and so are those that were served from their record.
CREATE VIEW usage AS
SELECT
    run_id,                                          -- the run, as in `runs`
    model,                                           -- its full name
    role,                                            -- generator, judge, ...: what the calls were for
    status,                                          -- ok, failed, cancelled: tokens of a cancelled call are spent as well
    count(*) AS calls,                               -- how many
    sum(prompt_tokens)::BIGINT AS prompt_tokens,             -- cached ones included
    sum(cached_tokens)::BIGINT AS cached_tokens,     -- of the prompt, read from a cache
    sum(output_tokens)::BIGINT AS output_tokens,             -- thinking included
    sum(thinking_tokens)::BIGINT AS thinking_tokens, -- of the output, in the thinking channel
    sum(prompt_tokens + output_tokens)::BIGINT AS tokens, -- prompt and output
    CASE WHEN count(dollars) = count(*) THEN sum(dollars) END AS dollars, -- NULL where any part is unknown
    CASE WHEN count(flops) = count(*) THEN sum(flops) END AS flops,       -- estimated; NULL where any part is unknown
    sum(seconds) AS seconds                          -- of the calls one by one; they ran at once
FROM calls
WHERE status <> 'incomplete' AND replay_of IS NULL
GROUP BY ALL;

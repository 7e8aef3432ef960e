-- What each run spent, by model, role and status of the calls: add up what you need. Calls that never ended are left out.
CREATE VIEW usage AS
SELECT
    run_id,
    model,
    role,
    status,                                          -- ok, failed, cancelled: tokens of a cancelled call are spent as well
    count(*) AS calls,
    sum(prompt_tokens)::BIGINT AS prompt_tokens,             -- cached ones included
    sum(cached_tokens)::BIGINT AS cached_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,             -- thinking included
    sum(thinking_tokens)::BIGINT AS thinking_tokens,
    sum(prompt_tokens + output_tokens)::BIGINT AS tokens,
    CASE WHEN count(dollars) = count(*) THEN sum(dollars) END AS dollars, -- NULL where any part is unknown
    sum(seconds) AS seconds                          -- of the calls one by one; they ran at once
FROM calls
WHERE status <> 'incomplete'
GROUP BY ALL;

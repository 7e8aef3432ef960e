-- One row a candidate of a vote, at each proposal that rests on one.
CREATE VIEW votes AS
SELECT
    run_id,                                          -- the run, as in `runs`
    step,                                            -- the proposal, as in `answers`
    sequence,                                        -- its place among the run's deliveries
    candidate,                                       -- the value voted for
    CAST(votes ->> ('$."' || replace(candidate, '"', '\"') || '"') AS DOUBLE) AS weight,  -- its votes; a share of them where votes are weighted
    candidate = answer AS leads                      -- whether it was the answer then
FROM (SELECT *, unnest(json_keys(votes)) AS candidate FROM answers WHERE votes IS NOT NULL);

-- One row a candidate of a vote, at each proposal that rests on one.
CREATE VIEW votes AS
SELECT
    run_id,                                          -- the run, as in `runs`
    step,                                            -- the proposal, as in `answers`
    sequence,                                        -- its place among the run's deliveries
    candidate,                                       -- the value voted for
    weight,                                          -- its votes; a share of them where votes are weighted
    candidate = answer AS leads                      -- whether it was the answer then
FROM (
    -- The empty candidate is recorded as the sign ␀, and one of these signs alone with one sign more.
    SELECT *, regexp_replace(vote.key, '^(␀*)␀$', '\1') AS candidate, vote.value AS weight
    FROM (
        -- A map and not a path into the JSON: a candidate may hold any character, quotes and backslashes too.
        SELECT *, unnest(map_entries(json_transform(votes, '"MAP(VARCHAR, DOUBLE)"'))) AS vote
        FROM answers WHERE votes IS NOT NULL
    )
);

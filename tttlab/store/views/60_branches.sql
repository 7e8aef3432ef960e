-- One row a branch of a run's tree, the root left out.
CREATE VIEW branches AS
SELECT
    run_id,                                          -- the run, as in `runs`
    branch AS path,                                  -- '0.2' is the third child of the first child of the root
    attributes ->> '$."tttlab.branch.parent_path"' AS parent_path,        -- '' is the root
    TRY_CAST(attributes ->> '$."tttlab.branch.depth"' AS INTEGER) AS depth,  -- 1 below the root
    status AS state,                                 -- open, expanded, pruned, selected, failed
    score,                                           -- as the strategy or a verifier gave it
    make_timestamp(start_ns // 1000) AS started,     -- UTC
    CASE WHEN start_ns IS NOT NULL THEN make_timestamp(end_ns // 1000) END AS ended,  -- when its block ended
    (end_ns - start_ns) / 1e9 AS seconds,            -- wall time
    attributes,                                      -- JSON; a strategy's own facts are under `tttlab.branch.`
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- 16 hex digits
    span_key,                                        -- the span id as a number
    parent_key                                       -- likewise of the span above
FROM whole_spans
WHERE name LIKE 'branch %' AND scope_name = 'tttlab';

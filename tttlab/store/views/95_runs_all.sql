-- Every run, and every time that one was only repeated from its record, which `runs` leaves out.
CREATE VIEW runs_all AS
SELECT
    run_id,                                          -- as in `runs`; of a repetition, an id of its own
    NULL::VARCHAR AS replay_of,                      -- the run that was repeated; NULL for a run itself
    started,                                         -- UTC
    status,                                          -- as in `runs`
    strategy,                                        -- its name
    model,                                           -- its full name
    prompt,                                          -- the question
    answer,                                          -- the last proposed answer
    calls,                                           -- model calls
    replayed_calls,                                  -- of these, served from their record
    new_tokens                                       -- prompt and output tokens of the others
FROM runs
UNION ALL
SELECT
    note.run_id,
    run.run_id,
    make_timestamp(note.start_ns // 1000),
    run.status,
    run.strategy,
    run.model,
    run.prompt,
    run.answer,
    run.calls,
    run.calls,
    0
FROM whole_spans AS note
LEFT JOIN runs AS run ON run.run_id = note.attributes ->> '$."tttlab.replay.of"'
WHERE note.operation = 'replay' AND note.end_ns IS NOT NULL;

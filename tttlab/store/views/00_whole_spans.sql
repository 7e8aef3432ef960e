-- Internal: each span once, its end where it has ended, else its start. The public views are made from it.
CREATE VIEW whole_spans AS
SELECT * FROM stored_spans WHERE end_ns IS NOT NULL
UNION ALL
SELECT * FROM stored_spans AS started
WHERE end_ns IS NULL AND NOT EXISTS (
    FROM stored_spans AS ended WHERE ended.span_key = started.span_key AND ended.end_ns IS NOT NULL
);

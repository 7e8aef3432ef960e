-- Every OpenTelemetry span, one row each, but for notes of replays (see `runs_all`). One that has started and not ended is here too, with `complete` false.
CREATE VIEW spans AS
SELECT
    trace_id,                                        -- 32 hex digits; a run is one trace
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- 16 hex digits
    lpad(lower(hex(parent_key)), 16, '0') AS parent_span_id,              -- NULL for a root
    run_id,                                          -- the run that it belongs to
    name,                                            -- `chat local:smollm2`, `propose`, `branch 0.1`, ...
    kind,                                            -- INTERNAL, CLIENT, ...
    make_timestamp(start_ns // 1000) AS started,     -- UTC
    make_timestamp(end_ns // 1000) AS ended,         -- UTC; NULL while it is open
    (end_ns - start_ns) / 1e9 AS seconds,            -- how long it took
    end_ns IS NOT NULL AS complete,                  -- false: still running, or its process was killed
    status_code,                                     -- UNSET, OK, ERROR
    status_message,                                  -- what went wrong
    attributes,                                      -- JSON; every name is in `tttlab/tracing/names.py`
    events,                                          -- JSON list of {time_ns, name, attributes}
    links,                                           -- JSON list of {trace_id, span_id, attributes}
    resource,                                        -- JSON: what recorded it
    scope_name,                                      -- the instrumentation
    scope_version,                                   -- its version
    trace_state,                                     -- OpenTelemetry's, empty for spans of tttlab
    flags,                                           -- OpenTelemetry's trace flags
    dropped_attributes,                              -- 0 unless another library's limits dropped some
    dropped_events,                                  -- likewise
    dropped_links,                                   -- likewise
    start_ns,                                        -- nanoseconds since 1970
    end_ns,                                          -- likewise; NULL while it is open
    span_key,                                        -- the span id as a number
    parent_key                                       -- likewise of the span above
FROM whole_spans
WHERE operation IS DISTINCT FROM 'replay';

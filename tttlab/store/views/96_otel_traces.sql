-- The spans that have ended, under the names and types of ClickHouse's `otel_traces`, so that SQL written for it works.
CREATE VIEW otel_traces AS
SELECT
    make_timestamp_ns(start_ns) AS "Timestamp",      -- UTC, with nanoseconds
    coalesce(trace_id, '') AS "TraceId",             -- 32 hex digits
    lpad(lower(hex(span_key)), 16, '0') AS "SpanId", -- 16 hex digits
    coalesce(lpad(lower(hex(parent_key)), 16, '0'), '') AS "ParentSpanId",      -- '' for a root
    coalesce(trace_state, '') AS "TraceState",       -- W3C's
    coalesce(name, '') AS "SpanName",                -- `chat local:smollm2`, `propose`, ...
    upper(kind[1]) || lower(kind[2:]) AS "SpanKind", -- Internal, Server, Client, Producer, Consumer, Unspecified
    coalesce(resource ->> '$."service.name"', '') AS "ServiceName",             -- `tttlab` for its own
    coalesce(TRY_CAST(resource AS MAP(VARCHAR, VARCHAR)), MAP {}) AS "ResourceAttributes",  -- structured values as JSON text
    coalesce(scope_name, '') AS "ScopeName",         -- the instrumentation
    coalesce(scope_version, '') AS "ScopeVersion",   -- its version
    coalesce(TRY_CAST(attributes AS MAP(VARCHAR, VARCHAR)), MAP {}) AS "SpanAttributes",    -- structured values as JSON text; NULL, not '', for a key that is not there
    greatest(end_ns - start_ns, 0)::UBIGINT AS "Duration",                      -- nanoseconds
    upper(status_code[1]) || lower(status_code[2:]) AS "StatusCode",            -- Unset, Ok, Error
    coalesce(status_message, '') AS "StatusMessage", -- what went wrong
    {
        'Timestamp': list_transform(event_list, lambda event: make_timestamp_ns(event.time_ns)),
        'Name': list_transform(event_list, lambda event: event.name),
        'Attributes': list_transform(event_list, lambda event: event.attributes)
    } AS "Events",                                   -- `Events.Name` is a list, as in ClickHouse
    {
        'TraceId': list_transform(link_list, lambda link: link.trace_id),
        'SpanId': list_transform(link_list, lambda link: link.span_id),
        'TraceState': list_transform(link_list, lambda link: ''),
        'Attributes': list_transform(link_list, lambda link: link.attributes)
    } AS "Links"                                     -- `Links.SpanId` is a list
FROM (
    SELECT
        *,
        coalesce(
            TRY_CAST(events AS STRUCT(time_ns BIGINT, name VARCHAR, attributes MAP(VARCHAR, VARCHAR))[]), []
        ) AS event_list,
        coalesce(
            TRY_CAST(links AS STRUCT(trace_id VARCHAR, span_id VARCHAR, attributes MAP(VARCHAR, VARCHAR))[]), []
        ) AS link_list
    FROM whole_spans
    WHERE end_ns IS NOT NULL AND operation IS DISTINCT FROM 'replay'
);

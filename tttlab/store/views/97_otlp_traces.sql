-- The spans that have ended, under the names and types of the DuckDB extension `otlp` (its `read_otlp_traces`).
CREATE VIEW otlp_traces AS
SELECT
    make_timestamp(start_ns // 1000)::TIMESTAMP_MS AS "timestamp",              -- UTC, milliseconds
    end_ns AS end_timestamp,                         -- nanoseconds since 1970
    end_ns - start_ns AS duration,                   -- nanoseconds
    trace_id,                                        -- 32 hex digits
    lpad(lower(hex(span_key)), 16, '0') AS span_id,  -- 16 hex digits
    lpad(lower(hex(parent_key)), 16, '0') AS parent_span_id,                    -- NULL for a root
    trace_state,                                     -- W3C's
    resource ->> '$."service.name"' AS service_name, -- `tttlab` for its own
    resource ->> '$."service.namespace"' AS service_namespace,                  -- NULL where it says none
    resource ->> '$."service.instance.id"' AS service_instance_id,              -- likewise
    name AS span_name,                               -- `chat local:smollm2`, `propose`, ...
    CASE kind WHEN 'INTERNAL' THEN 1 WHEN 'SERVER' THEN 2 WHEN 'CLIENT' THEN 3 WHEN 'PRODUCER' THEN 4 WHEN 'CONSUMER' THEN 5 ELSE 0 END AS span_kind,  -- 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer
    CASE status_code WHEN 'OK' THEN 1 WHEN 'ERROR' THEN 2 ELSE 0 END AS status_code,  -- 0 unset, 1 ok, 2 error
    status_message,                                  -- what went wrong
    resource::VARCHAR AS resource_attributes,        -- JSON
    scope_name,                                      -- the instrumentation
    scope_version,                                   -- its version
    NULL::VARCHAR AS scope_attributes,               -- the store does not keep them
    attributes::VARCHAR AS span_attributes,          -- JSON
    coalesce(events::VARCHAR, '[]') AS events_json,  -- JSON list of {time_ns, name, attributes}
    coalesce(links::VARCHAR, '[]') AS links_json,    -- JSON list of {trace_id, span_id, attributes}
    dropped_attributes AS dropped_attributes_count,  -- 0 unless limits dropped some
    dropped_events AS dropped_events_count,          -- likewise
    dropped_links AS dropped_links_count,            -- likewise
    flags                                            -- OpenTelemetry's trace flags
FROM whole_spans
WHERE end_ns IS NOT NULL AND operation IS DISTINCT FROM 'replay';

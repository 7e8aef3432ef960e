-- What an archive holds: the spans and the deliveries of runs, as they were written. Read them through the views.
CREATE TABLE stored_spans (
    trace_id VARCHAR,             -- 32 hex digits
    span_key UBIGINT,             -- the 64-bit span id as a number: compact, and quick to join on
    parent_key UBIGINT,           -- the span above, NULL for a root
    name VARCHAR,                 -- `chat local:smollm2`, `propose`, `branch 0.1`, ...
    kind VARCHAR,                 -- INTERNAL, CLIENT, ...
    start_ns BIGINT,              -- nanoseconds since 1970, UTC
    end_ns BIGINT,                -- NULL in the row that was written when the span started
    status_code VARCHAR,          -- UNSET, OK, ERROR
    status_message VARCHAR,
    attributes JSON,              -- every attribute, whether it has a column or not
    events JSON,                  -- [{time_ns, name, attributes}]
    links JSON,                   -- [{trace_id, span_id, attributes}]
    resource JSON,
    scope_name VARCHAR,
    scope_version VARCHAR,
    trace_state VARCHAR,
    flags INTEGER,
    dropped_attributes INTEGER,
    dropped_events INTEGER,
    dropped_links INTEGER,
    run_id VARCHAR,               -- from here on, attributes that have a column of their own
    operation VARCHAR,            -- `invoke_workflow` for a run, `chat` for a call
    strategy VARCHAR,
    model VARCHAR,
    role VARCHAR,
    branch VARCHAR,
    status VARCHAR,
    cancelled_by VARCHAR,
    digest VARCHAR,
    ordinal BIGINT,
    sequence BIGINT,
    seed BIGINT,
    temperature DOUBLE,
    max_tokens BIGINT,
    finish_reason VARCHAR,
    prompt_tokens BIGINT,
    cached_tokens BIGINT,
    output_tokens BIGINT,
    thinking_tokens BIGINT,
    calls BIGINT,
    dollars DOUBLE,
    basis_prompt_tokens BIGINT,
    basis_output_tokens BIGINT,
    basis_thinking_tokens BIGINT,
    basis_calls BIGINT,
    basis_dollars DOUBLE,
    seconds_to_first DOUBLE,
    visibility VARCHAR,
    channel_source VARCHAR,
    granularity VARCHAR,
    logprob_stage VARCHAR,
    mean_logprob DOUBLE,
    answer VARCHAR,
    confidence DOUBLE,
    correct BOOLEAN,
    verifier VARCHAR,
    candidate VARCHAR,
    score DOUBLE,
    passed BOOLEAN
);

CREATE TABLE stored_tokens (
    run_id VARCHAR,
    span_key UBIGINT,             -- the call that it was streamed by
    position INTEGER,             -- its number in the call, from 0
    sequence BIGINT,              -- its number among all deliveries of the run, in the order in which they came
    channel VARCHAR,              -- thinking, answer
    text VARCHAR,
    token_id INTEGER,             -- NULL where the host gives none
    logprob FLOAT,                -- natural logarithm; NULL where the host gives none
    top STRUCT(token_id INTEGER, "text" VARCHAR, logprob FLOAT)[],
    time_ns BIGINT,               -- arrival, nanoseconds since 1970, UTC
    granularity VARCHAR,          -- token, chunk
    merged BOOLEAN,               -- several tokens that the host gave as one (bytes of one character)
    chunk_tokens INTEGER          -- how many tokens a chunk holds, where the host says it
);

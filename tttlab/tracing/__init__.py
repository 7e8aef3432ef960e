"""Tracing: OpenTelemetry spans, token buffers beside them, and the names of all that is recorded."""

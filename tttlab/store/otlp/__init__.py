"""OpenTelemetry's wire format, OTLP: spans go out to any collector or file, and come in from any program or file.

Needs `opentelemetry-proto` and `googleapis-common-protos`, the messages as their makers publish them
(`pip install 'tttlab[otlp]'`).
"""

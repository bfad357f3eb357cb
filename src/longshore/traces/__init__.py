"""Traces: what a request or a job spent its time on, told to OpenTelemetry where that is wanted."""

"""The demo: a small Kafka, drawn posts and a real worker; only the command line imports it."""

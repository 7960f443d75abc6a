"""The running system: posts in from Kafka, flag or pass decisions out."""

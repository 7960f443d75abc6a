"""Everything that talks to Kafka: clients, reading, publishing, topics."""

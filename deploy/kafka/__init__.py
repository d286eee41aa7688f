"""A real Apache Kafka without Docker, for tests, benchmarks and for trying Accord on Kafka. Production runs its own."""

"""From MLLP to PostgreSQL over RabbitMQ, beside the least that anybody does with the same bytes. See benchmarks/README.md."""

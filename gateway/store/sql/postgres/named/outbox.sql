-- name: copy_outbox
COPY outbox (receipt, kind, source, created_at, due_at) FROM STDIN (FORMAT BINARY)

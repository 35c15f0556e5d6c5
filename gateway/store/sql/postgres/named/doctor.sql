-- name: doctor_facts
SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
       current_setting('full_page_writes'), current_setting('server_encoding'), current_setting('default_transaction_isolation'),
       pg_database_size(current_database()), EXTRACT(EPOCH FROM clock_timestamp())::float8,
       current_setting('max_connections')::int, pg_backend_pid()

-- name: doctor_marks
SELECT set_config('dmp_gateway.mark', %s, FALSE)

-- name: doctor_reads
SELECT COALESCE(current_setting('dmp_gateway.mark', TRUE), '')

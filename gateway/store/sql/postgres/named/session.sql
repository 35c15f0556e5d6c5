-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE

-- name: begin_reading
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: commit
COMMIT

-- name: rollback
ROLLBACK

-- name: configure_session
SELECT set_config('lock_timeout', %s, FALSE), set_config('statement_timeout', %s, FALSE),
       set_config('idle_in_transaction_session_timeout', %s, FALSE), set_config('application_name', %s, FALSE),
       set_config('default_transaction_read_only', %s, FALSE),
       set_config('tcp_keepalives_idle', %s, FALSE), set_config('tcp_keepalives_interval', %s, FALSE),
       set_config('tcp_keepalives_count', %s, FALSE), set_config('tcp_user_timeout', %s, FALSE)

-- name: end_lost_session
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND usename = session_user AND application_name LIKE %s AND datname = current_database()

-- name: bound_waiting
SELECT set_config('lock_timeout', %s, TRUE)

-- name: role_usable
SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s) AND to_regclass('receipt') IS NOT NULL
       THEN pg_has_role(current_user, %(role)s, 'MEMBER') AND has_table_privilege(%(role)s, 'receipt', 'SELECT')
       ELSE FALSE END

-- name: take_writing_role
SET ROLE dmp_gateway_write

-- name: take_reading_role
SET ROLE dmp_gateway_read

-- name: take_erasing_role
SET ROLE dmp_gateway_erase

-- name: server_facts
SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_encoding'),
       current_setting('server_version_num')::int, pg_is_in_recovery()

-- name: one_migrator
SELECT pg_advisory_lock(%s)

-- name: next_migrator
SELECT pg_advisory_unlock(%s)

-- name: no_time_limit
SELECT set_config('statement_timeout', '0', FALSE), set_config('lock_timeout', '0', FALSE)

-- name: make_migration_table
CREATE TABLE IF NOT EXISTS schema_migration (
    number integer PRIMARY KEY, name text COLLATE "C" NOT NULL, sha256 text COLLATE "C" NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: migration_table_there
SELECT to_regclass('schema_migration') IS NOT NULL

-- name: applied_migrations
SELECT number, name, sha256 FROM schema_migration ORDER BY number

-- name: note_migration
INSERT INTO schema_migration (number, name, sha256) VALUES (%s, %s, %s)

-- name: may_make_roles
SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user

-- name: describe_columns
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
       COALESCE(pg_get_expr(d.adbin, d.adrelid), ''), COALESCE(n.collname, '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation n ON n.oid = a.attcollation
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY c.relname COLLATE "C", a.attname COLLATE "C"

-- name: describe_constraints
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = current_schema()::regnamespace AND k.contype <> 'n'
ORDER BY c.relname COLLATE "C", k.conname COLLATE "C"

-- name: describe_indexes
SELECT tablename, indexname, regexp_replace(indexdef, ' ON (ONLY )?[^ .]+\.', ' ON ') FROM pg_indexes
WHERE schemaname = current_schema() ORDER BY tablename COLLATE "C", indexname COLLATE "C"

-- name: resolve_identifiers hot
SELECT i.authority, i.value, i.patient FROM identifier i
JOIN unnest(%s::text[], %s::text[]) AS asked (authority, value) ON i.authority = asked.authority AND i.value = asked.value

-- name: share_gate hot
SELECT slot FROM gate WHERE slot = ANY (%s::int[]) ORDER BY slot FOR SHARE

-- name: hold_gate hot
SELECT slot FROM gate WHERE slot = ANY (%s::int[]) ORDER BY slot FOR NO KEY UPDATE

-- name: lock_patients hot
SELECT id FROM patient WHERE id = ANY (%s::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: confirm_identifiers hot
SELECT i.authority, i.value, i.patient FROM identifier i
JOIN unnest(%s::text[], %s::text[]) AS asked (authority, value) ON i.authority = asked.authority AND i.value = asked.value

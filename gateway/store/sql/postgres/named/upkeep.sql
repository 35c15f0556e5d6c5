-- name: copy_trace
COPY trace (at, actor, action, receipt, patient, document, verdict, rule, statement, rights_version, n, hash)
FROM STDIN (FORMAT BINARY)

-- name: update_trace_heads hot
UPDATE patient p SET trace_length = new.length, trace_head = new.head
FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS new (id, length, head) WHERE p.id = new.id

-- name: count_rights_change hot
UPDATE patient SET rights_version = rights_version + 1 WHERE id = %s

-- name: write_parked
INSERT INTO parked (receipt, parked_at, source, code, place, identifiers, sealed) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (receipt) DO UPDATE SET parked_at = excluded.parked_at, source = excluded.source, code = excluded.code,
    place = excluded.place, identifiers = excluded.identifiers, sealed = excluded.sealed, review = TRUE

-- name: name_parked
INSERT INTO parked_identifier SELECT %s, authority, value FROM unnest(%s::text[], %s::text[]) AS named (authority, value)
ON CONFLICT DO NOTHING

-- name: forget_parked hot
DELETE FROM parked WHERE receipt = %s

-- name: forget_parked_names hot
DELETE FROM parked_identifier WHERE receipt = %s

-- name: forget_receipt hot
DELETE FROM receipt WHERE id = %s

-- name: ask_reviews hot
UPDATE parked SET review = TRUE WHERE receipt = ANY (ARRAY(
    SELECT p.receipt FROM identifier i JOIN parked_identifier p ON p.authority = i.authority AND p.value = i.value
    WHERE i.patient = ANY (%s::bigint[])
))

-- name: awaiting_review hot
SELECT receipt, sealed FROM parked WHERE review ORDER BY parked_at LIMIT %s

-- The first of two that judge the same one waits for nobody; the other finds nothing left to claim.
-- name: claim_review hot
UPDATE parked SET review = FALSE WHERE receipt = %s AND review RETURNING receipt

-- name: raise_task_once
INSERT INTO task (raised_at, kind, receipt)
SELECT %(at)s, %(kind)s, %(receipt)s
WHERE NOT EXISTS (SELECT FROM task WHERE kind = %(kind)s AND receipt = %(receipt)s AND done_at IS NULL)

-- name: trace_head hot
SELECT trace_length, trace_head FROM patient WHERE id = %s

-- name: trace_lines hot
SELECT n, hash, at, actor, action, receipt, patient, document, verdict, rule, statement, rights_version FROM trace
WHERE patient = %s ORDER BY n NULLS FIRST, sequence

-- Some patients with their whole traces, each as of the statement's instant.
-- name: next_traces hot
SELECT p.id, p.trace_length, p.trace_head, t.n, t.hash, t.at, t.actor, t.action, t.receipt, t.patient, t.document, t.verdict,
       t.rule, t.statement, t.rights_version
FROM (SELECT id, trace_length, trace_head FROM patient WHERE id > %s ORDER BY id LIMIT 200) p
LEFT JOIN LATERAL (SELECT * FROM trace WHERE trace.patient = p.id OFFSET 0) t ON TRUE ORDER BY p.id, t.n NULLS FIRST, t.sequence

-- name: read_receipts hot
SELECT id, outcome FROM receipt WHERE id = ANY (%s::text[])

-- name: read_reused_message_ids hot
SELECT asked.n FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
    WITH ORDINALITY AS asked (establishment, application, message_id, digest, n)
WHERE EXISTS (
    SELECT FROM receipt r WHERE r.establishment = asked.establishment AND r.application = asked.application
    AND r.message_id = asked.message_id AND r.message_digest < asked.digest
) OR EXISTS (
    SELECT FROM receipt r WHERE r.establishment = asked.establishment AND r.application = asked.application
    AND r.message_id = asked.message_id AND r.message_digest > asked.digest
)

-- name: read_records hot
SELECT p.id, p.rights_version, p.trace_length, p.trace_head, r.state, r.opened_at, r.channel, r.closed_at
FROM patient p LEFT JOIN record r ON r.patient = p.id WHERE p.id = ANY (%s::bigint[])

-- name: read_statements hot
SELECT b.patient, s.id, s.statement, s.received_at, s.committed_at, s.sequence
FROM binding b JOIN statement s ON s.id = b.statement
WHERE b.patient = ANY (%s::bigint[]) AND b.to_at IS NULL ORDER BY s.sequence

-- name: read_documents hot
SELECT d.patient, d.unique_id, d.owner, d.set_id, d.version, d.state, d.digest, d.visibility, d.replaced_by, d.receipt, d.deletion
FROM document d JOIN unnest(%s::bigint[], %s::text[]) AS asked (patient, unique_id)
ON d.patient = asked.patient AND d.unique_id = asked.unique_id

-- name: read_documents_of_sets hot
SELECT d.patient, d.unique_id, d.owner, d.set_id, d.version, d.state, d.digest, d.visibility, d.replaced_by, d.receipt, d.deletion
FROM document d JOIN unnest(%s::bigint[], %s::text[], %s::text[]) AS asked (patient, owner, set_id)
ON d.patient = asked.patient AND d.owner = asked.owner AND d.set_id = asked.set_id

-- name: read_marks hot
SELECT m.patient, m.unique_id, m.owner, m.kind, m.by_id, m.receipt
FROM mark m JOIN unnest(%s::bigint[], %s::text[]) AS asked (patient, unique_id)
ON m.patient = asked.patient AND m.unique_id = asked.unique_id

-- name: copy_documents
COPY document (patient, unique_id, owner, set_id, version, state, replaced_by, deletion, act, digest, visibility, establishments,
    subject, entry_uuid, entry, source, receipt, part, committed_at) FROM STDIN (FORMAT BINARY)

-- name: update_documents hot
UPDATE document d SET state = new.state, replaced_by = new.replaced_by, deletion = new.deletion
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS new (patient, unique_id, state, replaced_by, deletion)
WHERE d.patient = new.patient AND d.unique_id = new.unique_id

-- name: copy_entries
COPY entry (patient, unique_id, n, id, mapper_version, entry) FROM STDIN (FORMAT BINARY)

-- name: drop_entries hot
DELETE FROM entry WHERE patient = %s AND unique_id = %s

-- name: copy_marks
COPY mark (patient, unique_id, owner, kind, by_id, receipt, committed_at) FROM STDIN (FORMAT BINARY)

-- name: copy_source_forms
COPY source_form (receipt, carriers) FROM STDIN (FORMAT BINARY)

-- name: copy_source_parts
COPY source_part (receipt, part, encoding, size, bytes) FROM STDIN (FORMAT BINARY)

-- name: copy_refusals
COPY refusal (receipt, refused_at, source, establishment, patient, document_ids, code, rule, statement)
FROM STDIN (FORMAT BINARY)

-- name: copy_receipts
COPY receipt (id, received_at, decided_at, door, source, establishment, application, message_id, message_type, message_digest,
    act, verdict, codes, patient_authority, patient_value, document_ids, outcome) FROM STDIN (FORMAT BINARY)

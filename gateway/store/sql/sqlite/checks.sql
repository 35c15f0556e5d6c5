-- The queries of `gateway/store/checks.py`, each expected empty: receipts, ids of statements and entries, numbers of patients.

-- name: check_content_of_refused
SELECT r.id FROM receipt r JOIN source_part p ON p.receipt = r.id WHERE r.verdict IN ('refused', 'rejected')
UNION SELECT r.id FROM receipt r JOIN source_form f ON f.receipt = r.id WHERE r.verdict IN ('refused', 'rejected')
UNION SELECT r.id FROM receipt r JOIN parked k ON k.receipt = r.id WHERE r.verdict IN ('refused', 'rejected')
UNION SELECT r.id FROM document d JOIN receipt r ON r.id = d.receipt WHERE r.verdict IN ('refused', 'rejected')
ORDER BY 1

-- name: check_statement_bound
-- No index leads from a statement to its bindings, nor from a receipt to its documents: NOT IN makes one for the time.
SELECT s.id FROM statement s WHERE s.id NOT IN (SELECT b.statement FROM binding b)
UNION SELECT b.statement FROM binding b WHERE NOT EXISTS (SELECT 1 FROM statement s WHERE s.id = b.statement)
    OR NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = b.patient)
UNION SELECT n.statement FROM statement_identifier n WHERE NOT EXISTS (SELECT 1 FROM statement s WHERE s.id = n.statement)
ORDER BY 1

-- name: check_identifier_merged
SELECT DISTINCT 'patient ' || p.id FROM patient p JOIN identifier i ON i.patient = p.id WHERE p.merged_into IS NOT NULL ORDER BY 1

-- name: check_identifier_linked
SELECT 'patient ' || i.patient FROM identifier i
WHERE 1 <> (SELECT count(*) FROM link l WHERE l.authority = i.authority AND l.value = i.value AND l.to_at IS NULL)
    OR NOT EXISTS (SELECT 1 FROM link l WHERE l.authority = i.authority AND l.value = i.value AND l.patient = i.patient
                   AND l.to_at IS NULL)
UNION SELECT 'patient ' || l.patient FROM link l WHERE l.to_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM identifier i WHERE i.authority = l.authority AND i.value = l.value AND i.patient = l.patient)
ORDER BY 1

-- name: check_refusal_traced
SELECT f.receipt FROM refusal f WHERE f.patient IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM trace t WHERE t.receipt = f.receipt AND t.patient IS NOT NULL) ORDER BY f.receipt

-- name: check_document_owned
SELECT d.receipt FROM document d
WHERE NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = d.patient)
    OR (d.committed_at >= :receipts_since AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = d.receipt))
ORDER BY d.receipt

-- name: check_document_bytes
SELECT d.receipt FROM document d WHERE d.state = 'current'
AND NOT EXISTS (SELECT 1 FROM source_part p WHERE p.receipt = d.receipt AND p.part = d.part) ORDER BY d.receipt

-- name: check_bytes_owned
SELECT p.receipt FROM source_part p WHERE p.receipt NOT IN (SELECT d.receipt FROM document d)
UNION SELECT f.receipt FROM source_form f WHERE f.receipt NOT IN (SELECT d.receipt FROM document d)
ORDER BY 1

-- name: check_entry_owned
SELECT e.id FROM entry e
WHERE NOT EXISTS (SELECT 1 FROM document d WHERE d.patient = e.patient AND d.unique_id = e.unique_id) ORDER BY e.id

-- name: check_one_current
SELECT max(d.receipt) FROM document d WHERE d.state = 'current' AND d.set_id IS NOT NULL AND d.version IS NOT NULL
GROUP BY d.patient, d.owner, d.set_id HAVING count(*) > 1 ORDER BY 1

-- name: check_deleted_hidden
SELECT d.receipt FROM document d WHERE d.state <> 'deleted' AND (d.deletion IS NOT NULL OR EXISTS (
    SELECT 1 FROM mark m WHERE m.patient = d.patient AND m.unique_id = d.unique_id AND m.owner = d.owner AND m.kind = 'deleted'
)) ORDER BY d.receipt

-- name: check_parked_owned
SELECT k.receipt FROM parked k WHERE k.parked_at < :parked_since
    OR NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = k.receipt AND r.verdict = 'parked')
UNION SELECT i.receipt FROM parked_identifier i WHERE NOT EXISTS (SELECT 1 FROM parked k WHERE k.receipt = i.receipt)
ORDER BY 1

-- name: check_outbox_decided
SELECT o.receipt FROM outbox o WHERE o.created_at >= :receipts_since
AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.id = o.receipt AND r.verdict <> 'parked') ORDER BY o.receipt

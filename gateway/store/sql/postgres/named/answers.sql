-- name: known_receipts hot
SELECT id FROM receipt WHERE id = ANY (%s::text[])

-- name: came_again hot
SELECT asked.receipt FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
    AS asked (receipt, establishment, application, message_id, digest, received_at)
WHERE EXISTS (
    SELECT FROM receipt r WHERE r.establishment = asked.establishment AND r.application = asked.application
    AND r.message_id = asked.message_id AND r.message_digest = asked.digest AND r.received_at > asked.received_at
    AND r.verdict <> 'rejected'
)

-- name: commanded_again hot
SELECT asked.receipt FROM unnest(%s::text[], %s::text[], %s::text[]) AS asked (receipt, digest, received_at)
JOIN (
    SELECT message_digest, max(received_at) AS last FROM receipt
    WHERE establishment = 'operator' AND application = 'operator' GROUP BY message_digest
) AS again ON again.message_digest = asked.digest AND again.last > asked.received_at

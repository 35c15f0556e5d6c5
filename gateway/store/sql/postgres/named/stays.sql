-- name: stays_of_patients hot
SELECT establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt FROM stay
WHERE patient = ANY (%s::bigint[]) ORDER BY establishment, visit_authority, visit_value

-- The order of `rules.stays.later`.
-- name: keep_stay
INSERT INTO stay (patient, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (patient, establishment, visit_authority, visit_value) DO UPDATE SET state = excluded.state,
    ordered_at = excluded.ordered_at, received_at = excluded.received_at, receipt = excluded.receipt
WHERE (excluded.ordered_at, excluded.received_at, excluded.state = 'open', excluded.receipt)
    > (stay.ordered_at, stay.received_at, stay.state = 'open', stay.receipt)

-- name: carry_stays
INSERT INTO stay (patient, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt)
SELECT %s, establishment, visit_authority, visit_value, state, ordered_at, received_at, receipt FROM stay WHERE patient = %s
ON CONFLICT (patient, establishment, visit_authority, visit_value) DO UPDATE SET state = excluded.state,
    ordered_at = excluded.ordered_at, received_at = excluded.received_at, receipt = excluded.receipt
WHERE (excluded.ordered_at, excluded.received_at, excluded.state = 'open', excluded.receipt)
    > (stay.ordered_at, stay.received_at, stay.state = 'open', stay.receipt)

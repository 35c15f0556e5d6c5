-- A lane never goes back: who tells of an earlier day comes late.
-- name: pass_lane
INSERT INTO lane_day (lane, day, passed_at) VALUES (%s, %s, %s)
ON CONFLICT (lane) DO UPDATE SET day = excluded.day, passed_at = excluded.passed_at WHERE lane_day.day < excluded.day

-- name: lanes_passed
SELECT lane, day, passed_at FROM lane_day ORDER BY lane

-- name: count_parked
SELECT count(*) FROM parked

-- name: first_parked
SELECT min(parked_at) FROM parked

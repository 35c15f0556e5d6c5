-- The last day of which nothing is left in a lane of the queue: the keys of that day may go once every lane has passed it (D-7).
CREATE TABLE lane_day (
    lane TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    passed_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

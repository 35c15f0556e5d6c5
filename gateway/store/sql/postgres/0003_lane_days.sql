-- The last day of which nothing is left in a lane of the queue: the keys of that day may go once every lane has passed it (D-7).
CREATE TABLE lane_day (
    lane text COLLATE "C" PRIMARY KEY,
    day integer NOT NULL,
    passed_at text COLLATE "C" NOT NULL
);

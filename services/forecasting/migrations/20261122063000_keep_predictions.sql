-- What was forecast after each figure, with what was known then. What was forecast at the time never changes.
CREATE TABLE prediction (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    -- the period of the last figure that it knew, such as "2026-09"
    origin text COLLATE "C" NOT NULL,
    make_time timestamptz NOT NULL,
    -- made afterwards, as if at the time
    is_hindcast boolean NOT NULL,
    -- one of each period after the origin
    mean double precision[] NOT NULL,
    low80 double precision[] NOT NULL,
    high80 double precision[] NOT NULL,
    low95 double precision[] NOT NULL,
    high95 double precision[] NOT NULL,
    -- the plans open then, and how probable each was
    target_ids uuid[] NOT NULL,
    probabilities double precision[] NOT NULL,
    PRIMARY KEY (indicator_id, unit_id, origin)
);

-- How the predictions of a series came true, summed up anew whenever it changes. Arrays are by periods ahead, those of
-- plans by tenths of the stated probability.
CREATE TABLE accuracy (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    responsible_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    is_local boolean NOT NULL,
    illustrative boolean NOT NULL,
    forecasts integer NOT NULL,
    hindcasts integer NOT NULL,
    known integer[] NOT NULL,
    inside80 integer[] NOT NULL,
    inside95 integer[] NOT NULL,
    -- of those with a figure of the same period of an earlier year: their absolute errors, and those of taking that one
    error double precision[] NOT NULL,
    naive_error double precision[] NOT NULL,
    stated integer[] NOT NULL,
    probability double precision[] NOT NULL,
    met integer[] NOT NULL,
    squared_error double precision NOT NULL,
    PRIMARY KEY (indicator_id, unit_id)
);
CREATE INDEX accuracy_unit_idx ON accuracy (unit_id);
CREATE INDEX accuracy_city_idx ON accuracy (indicator_id) WHERE NOT is_local;

-- Whether its past was forecast afterwards, as if at the time; and from how many figures it was assessed: when several
-- are new at once, as by an import, there is more past than before.
ALTER TABLE assessment ADD COLUMN is_hindcast boolean NOT NULL DEFAULT false;
ALTER TABLE assessment ADD COLUMN figure_count integer NOT NULL DEFAULT 0;
CREATE INDEX assessment_hindcast_idx ON assessment (update_time) WHERE NOT is_hindcast;

-- Copies of what the indicators service states. `payload` is its message, encoded.
CREATE TABLE indicator (
    id uuid PRIMARY KEY,
    version integer NOT NULL,
    payload bytea NOT NULL
);

CREATE TABLE target (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    version integer NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX target_series_idx ON target (indicator_id, unit_id);

CREATE TABLE observation (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    period_index integer NOT NULL,
    -- 1 estimate, 2 preliminary, 3 official: the greater the more final
    vintage smallint NOT NULL,
    known_time timestamptz NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX observation_series_idx
    ON observation (indicator_id, unit_id, period_index, vintage DESC, known_time DESC, id DESC);

-- Series to be assessed anew: an indicator of a unit. Written in the transaction that changes what they rest on.
CREATE TABLE recompute (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    -- how often it could not be assessed since it last changed, and why not the last time; after the third time it is
    -- set aside until it changes or a process starts
    attempts smallint NOT NULL DEFAULT 0,
    error text,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (indicator_id, unit_id)
);
CREATE INDEX recompute_time_idx ON recompute (create_time) WHERE attempts < 3;

-- The newest assessment of each series. `forecast` and `item` are the messages that calls answer, encoded; `item` is
-- absent where a series is not on the board.
CREATE TABLE assessment (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    -- the unit that answers for the figure: the indicator's owner for figures of the city
    responsible_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    -- a figure of a ward, commune or special zone
    is_local boolean NOT NULL,
    -- the number of the contract's enum
    status smallint NOT NULL,
    -- the board's order: rank of the status; millionths of the probability, beyond all where there is none; millionths
    -- by which the expected figure passes the target, negative where it falls short
    status_rank smallint NOT NULL,
    probability_rank integer NOT NULL,
    gap_rank bigint NOT NULL,
    last_observation_id uuid,
    -- what it was made with; what is outdated is made anew
    thresholds_version integer NOT NULL,
    city_date date NOT NULL,
    update_time timestamptz NOT NULL,
    forecast bytea NOT NULL,
    item bytea,
    PRIMARY KEY (indicator_id, unit_id)
);
-- Holds all that lists and counts ask, so that counts never touch the rows.
CREATE INDEX assessment_board_idx
    ON assessment (status_rank, probability_rank, gap_rank, indicator_id, unit_id)
    INCLUDE (responsible_unit_id, field_code, is_local, status, update_time)
    WHERE item IS NOT NULL;
CREATE INDEX assessment_date_idx ON assessment (city_date);
CREATE INDEX assessment_thresholds_idx ON assessment (thresholds_version);

-- Versions of the thresholds; the last one is in force.
CREATE TABLE threshold (
    version integer PRIMARY KEY,
    red_below double precision NOT NULL,
    green_above double precision NOT NULL,
    actor text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    CHECK (0 < red_below AND red_below <= green_above AND green_above < 1)
);
INSERT INTO threshold (version, red_below, green_above, actor) VALUES (1, 0.35, 0.75, 'forecasting');

-- First days of the Lunar New Year, which moves between January and February and takes work with it.
CREATE TABLE new_year (date date PRIMARY KEY);
INSERT INTO new_year (date) VALUES
    ('2010-02-14'), ('2011-02-03'), ('2012-01-23'), ('2013-02-10'), ('2014-01-31'), ('2015-02-19'), ('2016-02-08'),
    ('2017-01-28'), ('2018-02-16'), ('2019-02-05'), ('2020-01-25'), ('2021-02-12'), ('2022-02-01'), ('2023-01-22'),
    ('2024-02-10'), ('2025-01-29'), ('2026-02-17'), ('2027-02-06'), ('2028-01-26'), ('2029-02-13'), ('2030-02-02'),
    ('2031-01-23'), ('2032-02-11'), ('2033-01-31'), ('2034-02-19'), ('2035-02-08');

-- Lower case without Vietnamese marks, composed or not, so that "giai ngan" finds "Giải ngân".
CREATE FUNCTION fold(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(
        lower(value),
        'áàảãạăắằẳẵặâấầẩẫậđéèẻẽẹêếềểễệíìỉĩịóòỏõọôốồổỗộơớờởỡợúùủũụưứừửữựýỳỷỹỵ'
        'ÁÀẢÃẠĂẮẰẲẴẶÂẤẦẨẪẬĐÉÈẺẼẸÊẾỀỂỄỆÍÌỈĨỊÓÒỎÕỌÔỐỒỔỖỘƠỚỜỞỠỢÚÙỦŨỤƯỨỪỬỮỰÝỲỶỸỴ'
        || U&'\0301\0300\0309\0303\0323\0306\0302\031B',
        'aaaaaaaaaaaaaaaaadeeeeeeeeeeeiiiiiooooooooooooooooouuuuuuuuuuuyyyyy'
        'aaaaaaaaaaaaaaaaadeeeeeeeeeeeiiiiiooooooooooooooooouuuuuuuuuuuyyyyy')
$$;

-- Enums hold the names of the contract, as JSON and logs do.
CREATE TABLE indicator (
    id uuid PRIMARY KEY,
    code text COLLATE "C" NOT NULL CONSTRAINT indicator_code_key UNIQUE,
    name_vi text NOT NULL,
    name_en text NOT NULL,
    field_code text NOT NULL,
    field_vi text NOT NULL,
    field_en text NOT NULL,
    measure_vi text NOT NULL,
    measure_code text NOT NULL,
    frequency text NOT NULL CHECK (frequency LIKE 'FREQUENCY\_%'),
    direction text NOT NULL CHECK (direction LIKE 'DIRECTION\_%'),
    aggregation text NOT NULL CHECK (aggregation LIKE 'AGGREGATION\_%'),
    weight text NOT NULL,
    year_rule text NOT NULL CHECK (year_rule LIKE 'YEAR\_RULE\_%'),
    kind text NOT NULL CHECK (kind LIKE 'INDICATOR\_KIND\_%'),
    groups text[] NOT NULL,
    owner_unit_id uuid NOT NULL,
    decimals smallint NOT NULL,
    minimum numeric,
    maximum numeric,
    source text NOT NULL,
    -- how many days after a period's end its figure is due
    report_days smallint NOT NULL CHECK (report_days BETWEEN 1 AND 366),
    version integer NOT NULL DEFAULT 1
);

CREATE TABLE indicator_version (
    indicator_id uuid NOT NULL REFERENCES indicator,
    version integer NOT NULL,
    -- the row of `indicator` as it was
    definition jsonb NOT NULL,
    actor text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (indicator_id, version)
);

-- `by_owner` on targets, figures, submissions and duties: the indicator's owner answers for the figure, not the unit
-- itself; true for figures of the city and above. A row may be read by whoever covers its unit, the owner if `by_owner`,
-- or the indicator's field.

CREATE TABLE target (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL REFERENCES indicator,
    unit_id uuid NOT NULL,
    by_owner boolean NOT NULL,
    period text COLLATE "C" NOT NULL,
    author text NOT NULL CHECK (author LIKE 'TARGET\_AUTHOR\_%'),
    kind text NOT NULL CHECK (kind LIKE 'TARGET\_KIND\_%'),
    comparator text NOT NULL CHECK (comparator LIKE 'COMPARATOR\_%'),
    value numeric NOT NULL,
    upper_value numeric,
    source text NOT NULL,
    illustrative boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT target_key UNIQUE (indicator_id, unit_id, period, author, kind),
    CHECK ((comparator = 'COMPARATOR_WITHIN') = (upper_value IS NOT NULL))
);

-- For lists cut to units.
CREATE INDEX target_unit_idx ON target (unit_id, indicator_id, period);

CREATE TABLE target_version (
    target_id uuid NOT NULL REFERENCES target,
    version integer NOT NULL,
    -- the row of `target` as it was
    definition jsonb NOT NULL,
    actor text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (target_id, version)
);

-- Figures: only ever added. `period_index` counts periods of the indicator's frequency.
CREATE TABLE observation (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL REFERENCES indicator,
    unit_id uuid NOT NULL,
    by_owner boolean NOT NULL,
    period text COLLATE "C" NOT NULL,
    period_index integer NOT NULL,
    -- 1 estimate, 2 preliminary, 3 official: the greater the more final
    vintage smallint NOT NULL CHECK (vintage BETWEEN 1 AND 3),
    value numeric NOT NULL,
    known_time timestamptz NOT NULL,
    source text NOT NULL,
    illustrative boolean NOT NULL,
    submission_id uuid,
    actor text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
-- Makes repeated imports add nothing, and gives the best known figure of each period in reading order.
CREATE UNIQUE INDEX observation_key
    ON observation (indicator_id, unit_id, period_index, vintage DESC, known_time DESC, value);

-- For lists cut to units.
CREATE INDEX observation_unit_idx ON observation (unit_id, indicator_id, period_index);

CREATE TABLE submission (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL REFERENCES indicator,
    unit_id uuid NOT NULL,
    by_owner boolean NOT NULL,
    period text COLLATE "C" NOT NULL,
    period_index integer NOT NULL,
    vintage smallint NOT NULL CHECK (vintage BETWEEN 1 AND 3),
    value numeric NOT NULL,
    note text NOT NULL,
    state text NOT NULL CHECK (state LIKE 'SUBMISSION\_STATE\_%'),
    submitter_id text NOT NULL,
    approver_id text,
    return_reason text,
    warnings_vi text[] NOT NULL,
    warnings_en text[] NOT NULL,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    decide_time timestamptz
);
CREATE UNIQUE INDEX submission_waiting_key ON submission (indicator_id, unit_id, period_index)
    WHERE state = 'SUBMISSION_STATE_SUBMITTED';
CREATE UNIQUE INDEX submission_draft_key ON submission (indicator_id, unit_id, period_index)
    WHERE state = 'SUBMISSION_STATE_DRAFT';
CREATE INDEX submission_period_idx ON submission (indicator_id, unit_id, period_index, create_time);
CREATE INDEX submission_time_idx ON submission (create_time, id);
CREATE INDEX submission_unit_idx ON submission (unit_id, create_time, id);
CREATE INDEX submission_state_idx ON submission (state, create_time, id);

-- The days of indicators that are defined without any.
CREATE TABLE report_rule (
    frequency text PRIMARY KEY CHECK (frequency LIKE 'FREQUENCY\_%'),
    report_days smallint NOT NULL CHECK (report_days BETWEEN 1 AND 366)
);
INSERT INTO report_rule (frequency, report_days) VALUES
    ('FREQUENCY_MONTH', 5),
    ('FREQUENCY_QUARTER', 10),
    ('FREQUENCY_HALF', 15),
    ('FREQUENCY_YEAR', 31);

-- The figures that units report, one row for each indicator and unit, with the oldest period since `first_index` that
-- has no figure. History before the year in which the duty began may have gaps.
CREATE TABLE duty (
    indicator_id uuid NOT NULL REFERENCES indicator,
    unit_id uuid NOT NULL,
    by_owner boolean NOT NULL,
    first_index integer NOT NULL,
    next_index integer NOT NULL,
    end_date date NOT NULL,
    due_date date NOT NULL,
    PRIMARY KEY (indicator_id, unit_id)
);
CREATE INDEX duty_due_idx ON duty (due_date, indicator_id, unit_id);

-- The last day of a period, given its index and how many periods a year has.
CREATE FUNCTION last_day(index integer, per_year integer) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT make_date(
        (index + 1) * (12 / per_year) / 12,
        (index + 1) * (12 / per_year) % 12 + 1,
        1) - 1
$$;

-- The index of the period that a day falls in, given how many periods a year has.
CREATE FUNCTION period_index(day date, per_year integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT extract(year FROM day)::integer * per_year + (extract(month FROM day)::integer - 1) / (12 / per_year)
$$;

CREATE FUNCTION per_year(frequency text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE frequency
        WHEN 'FREQUENCY_MONTH' THEN 12
        WHEN 'FREQUENCY_QUARTER' THEN 4
        WHEN 'FREQUENCY_HALF' THEN 2
        ELSE 1
    END
$$;

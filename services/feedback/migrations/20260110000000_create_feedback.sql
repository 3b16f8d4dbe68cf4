-- Categories decide where an item goes and how long that and the answer may take.
CREATE TABLE category (
    code text PRIMARY KEY,
    name_vi text NOT NULL,
    name_en text NOT NULL,
    field_code text NOT NULL,
    route_unit_id uuid,
    -- Waits for a dispatcher instead of being routed by rule.
    screened boolean NOT NULL,
    route_minutes integer NOT NULL CHECK (route_minutes BETWEEN 1 AND 10080),
    answer_working_days integer NOT NULL CHECK (answer_working_days BETWEEN 1 AND 90)
);

CREATE TABLE boundary (
    unit_id uuid PRIMARY KEY,
    geojson text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE feedback_number START 10001;

CREATE TABLE feedback (
    id uuid PRIMARY KEY,
    number bigint NOT NULL UNIQUE DEFAULT nextval('feedback_number'),
    tracking_code text NOT NULL CONSTRAINT feedback_tracking_code UNIQUE,
    category_code text NOT NULL REFERENCES category,
    field_code text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    -- Title and code without marks and case, for search.
    folded text NOT NULL,
    longitude double precision NOT NULL,
    latitude double precision NOT NULL,
    address text NOT NULL,
    place_unit_id uuid NOT NULL,
    unit_id uuid,
    channel text NOT NULL CHECK (channel IN ('web', 'hotline', 'app')),
    state text NOT NULL CHECK (state IN ('received', 'routed', 'in_progress', 'answered', 'rejected')),
    create_time timestamptz NOT NULL,
    route_deadline timestamptz NOT NULL,
    route_time timestamptz,
    answer_deadline timestamptz NOT NULL,
    answer_time timestamptz,
    rating integer NOT NULL DEFAULT 0 CHECK (rating BETWEEN 0 AND 5),
    contact_name text NOT NULL DEFAULT '',
    contact_phone text NOT NULL DEFAULT '',
    contact_email text NOT NULL DEFAULT '',
    illustrative boolean NOT NULL DEFAULT false,
    import_key text UNIQUE,
    version integer NOT NULL DEFAULT 1,
    -- The place in lists: open items by deadline, then closed ones, newest first.
    list_key bigint NOT NULL,
    CHECK ((answer_time IS NULL) = (state IN ('received', 'routed', 'in_progress'))),
    CHECK ((unit_id IS NULL) = (route_time IS NULL))
);

CREATE INDEX feedback_list ON feedback (list_key, id);
CREATE INDEX feedback_unit ON feedback (unit_id, list_key, id);
CREATE INDEX feedback_place ON feedback (place_unit_id, list_key, id);
CREATE INDEX feedback_field ON feedback (field_code, list_key, id);
CREATE INDEX feedback_open ON feedback (answer_deadline) WHERE answer_time IS NULL;
CREATE INDEX feedback_search ON feedback USING gin (to_tsvector('simple', folded));

CREATE TABLE feedback_step (
    id uuid PRIMARY KEY,
    feedback_id uuid NOT NULL REFERENCES feedback,
    kind text NOT NULL CHECK (kind IN ('received', 'routed', 'progress', 'answered', 'rejected', 'rated')),
    create_time timestamptz NOT NULL DEFAULT now(),
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    unit_id uuid,
    text text NOT NULL DEFAULT '',
    promise_date date
);

CREATE INDEX feedback_step_item ON feedback_step (feedback_id, create_time, id);
-- A rating is corrected, not repeated.
CREATE UNIQUE INDEX feedback_step_rated ON feedback_step (feedback_id) WHERE kind = 'rated';

CREATE TABLE photo (
    id uuid PRIMARY KEY,
    feedback_id uuid REFERENCES feedback,
    content_type text NOT NULL,
    size bigint NOT NULL,
    -- false until the object is stored, so that no object is ever without a row
    is_stored boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX photo_item ON photo (feedback_id);
CREATE INDEX photo_unused ON photo (create_time) WHERE feedback_id IS NULL;

-- What each item adds to the rollups at the moment, so that a change takes it out again exactly.
CREATE TABLE counted (
    feedback_id uuid PRIMARY KEY,
    day date NOT NULL,
    unit_id uuid,
    place_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    category_code text NOT NULL,
    cells bigint[] NOT NULL,
    closed boolean NOT NULL,
    late boolean NOT NULL
);

-- Items by the day they came in. Open items count as received only; whether they are late is asked when read.
-- The nil UUID stands for "not routed yet".
CREATE TABLE rollup (
    day date NOT NULL,
    unit_id uuid NOT NULL,
    place_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    received bigint NOT NULL,
    closed bigint NOT NULL,
    closed_late bigint NOT NULL,
    PRIMARY KEY (day, unit_id, place_unit_id, field_code)
);

CREATE TABLE cell_rollup (
    resolution smallint NOT NULL,
    day date NOT NULL,
    category_code text NOT NULL,
    cell bigint NOT NULL,
    unit_id uuid NOT NULL,
    place_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    received bigint NOT NULL,
    closed_late bigint NOT NULL,
    PRIMARY KEY (resolution, day, category_code, cell, unit_id, place_unit_id, field_code)
);

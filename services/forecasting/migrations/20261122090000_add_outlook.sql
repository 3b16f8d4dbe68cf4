-- What lists are filtered by besides: the indicator's sets, and of the target that stands for the series its author and
-- period; and whether the next figure decides.
ALTER TABLE assessment
    ADD COLUMN groups text[] NOT NULL DEFAULT '{}',
    ADD COLUMN target_author smallint NOT NULL DEFAULT 0,
    ADD COLUMN target_period text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN is_decisive boolean NOT NULL DEFAULT false,
    -- the release of the model that it was made with; what an earlier one made is made anew
    ADD COLUMN model_version smallint NOT NULL DEFAULT 0,
    -- the unit above, of units that exist
    ADD COLUMN parent_unit_id uuid,
    -- where units add up: the number of the period of the last figure, the last figures, what is expected for itself of
    -- the periods after them, and how uncertain that is
    ADD COLUMN origin integer,
    ADD COLUMN recent double precision[],
    ADD COLUMN mean double precision[],
    ADD COLUMN variance double precision[],
    -- its whole was added up since that changed
    ADD COLUMN is_added_up boolean NOT NULL DEFAULT true;
DROP INDEX assessment_board_idx;
CREATE INDEX assessment_board_idx
    ON assessment (status_rank, probability_rank, gap_rank, indicator_id, unit_id)
    INCLUDE (responsible_unit_id, field_code, is_local, status, update_time, groups, target_author, target_period,
        is_decisive)
    WHERE item IS NOT NULL;
CREATE INDEX assessment_model_idx ON assessment (model_version);
CREATE INDEX assessment_added_up_idx ON assessment (indicator_id) WHERE NOT is_added_up;
CREATE INDEX assessment_parent_idx ON assessment (indicator_id, parent_unit_id);

-- What a unit's expected figures have more than those of the units below it, where they add up: by it all are moved so
-- that they do in the future.
CREATE TABLE excess (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    -- the number of the first period
    first integer NOT NULL,
    excess double precision[] NOT NULL,
    variance double precision[] NOT NULL,
    PRIMARY KEY (indicator_id, unit_id)
);

-- What was explained of series, as the explanations service states it.
CREATE TABLE note (
    explanation_id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    -- the unit that answers, and the indicator's field: who may read it depends on them
    answering_unit_id uuid NOT NULL,
    field_code text NOT NULL,
    time timestamptz NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX note_series_idx ON note (indicator_id, unit_id, time DESC);

-- Scenarios that were kept.
CREATE TABLE scenario (
    id uuid PRIMARY KEY,
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    principal_id text NOT NULL,
    name text NOT NULL,
    periods text[] NOT NULL,
    "values" text[] NOT NULL,
    moved_unit_ids uuid[] NOT NULL,
    moved_percents double precision[] NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (indicator_id, unit_id, principal_id, name)
);
CREATE INDEX scenario_series_idx ON scenario (indicator_id, unit_id, create_time DESC);

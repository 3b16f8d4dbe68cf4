-- What stands for a series on the board where targets of an author or a period are asked for and its line is judged by
-- another one: the most endangered base target of those asked for. 0 and '' stand for any author and any period.
CREATE TABLE other_line (
    indicator_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    target_author smallint NOT NULL,
    target_period text COLLATE "C" NOT NULL,
    status smallint NOT NULL,
    status_rank smallint NOT NULL,
    probability_rank integer NOT NULL,
    gap_rank bigint NOT NULL,
    is_decisive boolean NOT NULL,
    assessment bytea NOT NULL,
    PRIMARY KEY (indicator_id, unit_id, target_author, target_period),
    FOREIGN KEY (indicator_id, unit_id) REFERENCES assessment ON DELETE CASCADE
);
CREATE INDEX other_line_board_idx ON other_line
    (target_author, target_period, status_rank, probability_rank, gap_rank, indicator_id, unit_id);

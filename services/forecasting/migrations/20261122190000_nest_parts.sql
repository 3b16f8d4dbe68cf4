-- What is calculated may be a part itself. All that indicators are calculated from, at any depth: each root with every
-- pair of a whole and its part beneath it. UNION ends what would go round.
CREATE FUNCTION parts_below(roots uuid[]) RETURNS TABLE (root_id uuid, whole_id uuid, part_id uuid)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE below AS (
        SELECT p.indicator_id AS root_id, p.indicator_id AS whole_id, p.part_id FROM part p
        WHERE p.indicator_id = ANY(roots)
        UNION
        SELECT b.root_id, p.indicator_id, p.part_id FROM below b JOIN part p ON p.indicator_id = b.part_id
    )
    SELECT root_id, whole_id, part_id FROM below
$$;

-- All that is calculated from indicators, at any depth.
CREATE FUNCTION wholes_above(roots uuid[]) RETURNS TABLE (root_id uuid, whole_id uuid)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE above AS (
        SELECT p.part_id AS root_id, p.indicator_id AS whole_id FROM part p WHERE p.part_id = ANY(roots)
        UNION
        SELECT a.root_id, p.indicator_id FROM above a JOIN part p ON p.part_id = a.whole_id
    )
    SELECT root_id, whole_id FROM above
$$;

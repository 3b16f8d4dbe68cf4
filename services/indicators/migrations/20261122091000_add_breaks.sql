-- Where figures stop being comparable with those before: [{"period": "2025-07", "unit_id": null, "reason_vi": "…",
-- "reason_en": "…"}], in order of time.
ALTER TABLE indicator ADD COLUMN breaks jsonb NOT NULL DEFAULT '[]';

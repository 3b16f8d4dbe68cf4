-- How an indicator is calculated from others: {"numerator": [{"indicator_id": …, "indicator_code": …, "weight": "1"}],
-- "denominator": […], "factor": "100"}.
ALTER TABLE indicator ADD COLUMN formula jsonb;

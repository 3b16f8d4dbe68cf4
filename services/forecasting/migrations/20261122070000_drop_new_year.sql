-- The model holds the dates itself.
DROP TABLE new_year;

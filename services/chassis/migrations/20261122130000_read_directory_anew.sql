-- Units know now which ones they came from: the whole directory is read anew.
DELETE FROM chassis.directory_cursor;

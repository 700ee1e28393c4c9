-- Why a run failed that no cell is to blame for, for programs: a code of docs/reference/errors.md.

ALTER TABLE runs ADD COLUMN code TEXT;

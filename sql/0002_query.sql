-- What queries walk: every way in which a study is found, cut by month, newest first.
--
-- A page of the newest studies that match is then a few short ranges, whatever the key's frequency: a common name fills its page within one
-- month, a rare one costs one seek per month. Rows are added where the newest studies are, so adding stays as cheap as at the start.

-- One row per study and key (core/query_index.h says which). month: bucket of at; at: YYYYMMDDHHMMSS of the study, 0 when it has no date.
CREATE TABLE study_keys (
    month INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    study INTEGER NOT NULL
--sqlite , PRIMARY KEY (month DESC, key, at DESC, study DESC)
) WITHOUT ROWID;
--postgres CREATE UNIQUE INDEX study_keys_walk ON study_keys (month DESC, key, at DESC, study DESC);

-- The months that have studies, and how many.
CREATE TABLE study_months (month INTEGER PRIMARY KEY, studies INTEGER NOT NULL);

-- Attributes that were declared searchable: their values are keys of studies too. done: every header up to this instance row is indexed.
CREATE TABLE searchable_attributes (tag INTEGER PRIMARY KEY, done INTEGER NOT NULL, complete INTEGER NOT NULL);
--postgres ALTER TABLE study_keys SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

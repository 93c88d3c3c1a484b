-- The index of the archive: who, what and where, and the event log. Everything here but events and settings can be rebuilt from the volumes.
-- Text columns are UTF-8, repaired and trimmed; *_raw are the bytes as received. Dates are YYYYMMDD, times HHMMSS[.ffffff], '' when absent.

CREATE TABLE patients (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,           -- '' when the object has none
    issuer TEXT NOT NULL,               -- Issuer of Patient ID; '' when none
    name TEXT NOT NULL,                 -- of the first object; studies carry their own
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    study_count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (patient_id, issuer)
);

-- One row answers a query and a line of the work list: patient attributes as this study's first object has them, and counts.
CREATE TABLE studies (
    id INTEGER PRIMARY KEY,
    patient INTEGER NOT NULL REFERENCES patients (id),
    study_uid TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    study_id TEXT NOT NULL,
    description TEXT NOT NULL,
    referring_physician TEXT NOT NULL,
    institution TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_name_raw BLOB,              -- as received, when it differs from patient_name
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    patient_age TEXT NOT NULL,
    timezone TEXT NOT NULL,             -- Timezone Offset From UTC
    charset TEXT NOT NULL,              -- Specific Character Set as received
    text_flags INTEGER NOT NULL,        -- enum dcm_decode_flag over all its texts
    modalities TEXT NOT NULL,           -- Modalities in Study, backslash separated
    sop_classes TEXT NOT NULL,          -- SOP Classes in Study, backslash separated
    series_count INTEGER NOT NULL DEFAULT 0,
    instance_count INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    patient_conflict INTEGER NOT NULL DEFAULT 0, -- this Study Instance UID is also under another patient
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    UNIQUE (study_uid, patient)
);
CREATE INDEX studies_patient ON studies (patient);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES studies (id),
    series_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    number INTEGER,                     -- NULL when absent or not a number
    series_date TEXT NOT NULL,
    series_time TEXT NOT NULL,
    description TEXT NOT NULL,
    body_part TEXT NOT NULL,
    laterality TEXT NOT NULL,
    protocol TEXT NOT NULL,
    station TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    model TEXT NOT NULL,
    department TEXT NOT NULL,
    performing_physician TEXT NOT NULL,
    operators TEXT NOT NULL,
    pps_start_date TEXT NOT NULL,
    pps_start_time TEXT NOT NULL,
    requested_procedure_id TEXT NOT NULL, -- of the first item of Request Attributes Sequence
    scheduled_step_id TEXT NOT NULL,
    text_flags INTEGER NOT NULL,
    sop_classes TEXT NOT NULL,
    instance_count INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    header_base INTEGER NOT NULL DEFAULT 0, -- row of header_bases; 0 when none
    version INTEGER NOT NULL DEFAULT 0,     -- counts changes: prepared metadata of another version is stale
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    UNIQUE (study, series_uid)
);
CREATE INDEX series_uid ON series (series_uid);

-- Objects that are served (state 0) or would be, were they not damaged (state 1).
CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL UNIQUE,
    sop_class_uid TEXT NOT NULL,
    ts_uid TEXT NOT NULL,
    number INTEGER,                     -- Instance Number
    state INTEGER NOT NULL DEFAULT 0,   -- 0 served, 1 damaged
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,          -- of the Part 10 file in the volume
    length INTEGER NOT NULL,
    dataset_offset INTEGER NOT NULL,    -- of the data set in the file
    pixel_offset INTEGER NOT NULL,      -- of the pixel value in the file; 0 when none
    pixel_length INTEGER NOT NULL,      -- as declared
    frames INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    digest BLOB NOT NULL,               -- SHA-256 of the file
    source TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    header_kind INTEGER NOT NULL,       -- enum header_kind in core/header.h
    header_base INTEGER NOT NULL,       -- row of header_bases that the header is compressed against; 0 when none
    header BLOB NOT NULL                -- everything before the pixel value, compressed; last, so that other columns are read without it
);
CREATE INDEX instances_series ON instances (series, number);
CREATE UNIQUE INDEX instances_place ON instances (volume, "offset");

-- The first header of a series, against which the others are compressed.
CREATE TABLE header_bases (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

-- Other bytes for a SOP Instance UID that is taken (kind 'bytes': the copy lies at volume, offset), and a Study Instance UID under a
-- second patient (kind 'patient': study is that second study; the place is that of its first object and names nothing of its own).
CREATE TABLE conflicts (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    ts_uid TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    study INTEGER,                      -- kind 'patient'
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL,
    dataset_offset INTEGER NOT NULL,
    digest BLOB NOT NULL,
    source TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX conflicts_sop ON conflicts (sop_instance_uid);
CREATE INDEX conflicts_study ON conflicts (study_uid);
CREATE INDEX conflicts_place ON conflicts (volume, "offset");

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (volume, "offset")
);

-- Tombstones and records as they lie in the volumes.
CREATE TABLE records (
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL,
    kind INTEGER NOT NULL,              -- enum vol_kind
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    source TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (volume, "offset")
) WITHOUT ROWID;

-- Entries whose bytes still lie in a volume but mean nothing any more: deleted, or moved by compaction.
CREATE TABLE dead (
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL,
    sop_instance_uid TEXT NOT NULL,     -- '' when it was not an object
    why TEXT NOT NULL,                  -- 'deleted', 'moved', 'replaced', 'duplicate'
    PRIMARY KEY (volume, "offset")
) WITHOUT ROWID;
CREATE INDEX dead_sop ON dead (sop_instance_uid);

-- How far the index has seen each volume: written in the same transaction as the rows.
CREATE TABLE volumes (
    volume INTEGER PRIMARY KEY,
    indexed_end INTEGER NOT NULL,
    finished INTEGER NOT NULL DEFAULT 0 -- the volume grows no more and has been seen to its end
);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    actor TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL
);

-- Whole-archive counts, kept by the writer so that they cost one row to read.
CREATE TABLE figures (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO figures VALUES ('patients', 0), ('studies', 0), ('series', 0), ('instances', 0), ('bytes', 0), ('conflicts', 0), ('quarantined', 0);

-- The DICOM JSON of a series, gzip, as it is served.
CREATE TABLE series_metadata (
    series INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,           -- series.version at which it was made
    size INTEGER NOT NULL,              -- uncompressed
    json BLOB NOT NULL
);

-- Named values of the program itself (secrets are kept hashed only).
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- What is compressed already is not tried again; rows that change often find room beside themselves; what only grows is seen by the planner in time.
--postgres ALTER TABLE instances ALTER COLUMN header SET STORAGE EXTERNAL;
--postgres ALTER TABLE header_bases ALTER COLUMN data SET STORAGE EXTERNAL;
--postgres ALTER TABLE patients SET (fillfactor = 90);
--postgres ALTER TABLE studies SET (fillfactor = 80);
--postgres ALTER TABLE series SET (fillfactor = 80);
--postgres ALTER TABLE volumes SET (fillfactor = 50);
--postgres ALTER TABLE figures SET (fillfactor = 20);

-- Several nodes over one index: where each volume lies, who is there, and work that is done by one of them.

-- place: enum vol_place of store/volume.h. size: of the tar file, 0 while it grows. removed_ms: since when nothing refers to the volume; it goes
-- when those who may still read it are done. storage_class: of the bucket, '' is its own default.
ALTER TABLE volumes ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE volumes ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE volumes ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE volumes ADD COLUMN removed_ms INTEGER;
ALTER TABLE volumes ADD COLUMN storage_class TEXT NOT NULL DEFAULT '';

-- Small volumes until they are built into larger ones: the tar file in pieces of VOL_PIECE_BYTES, the last one shorter.
CREATE TABLE volume_pieces (
    volume INTEGER NOT NULL,
    piece INTEGER NOT NULL,             -- from 0
    data BLOB NOT NULL,
    PRIMARY KEY (volume, piece)
);
CREATE INDEX volumes_kept ON volumes (size) WHERE place = 2;
-- What is compressed already, or pixels: PostgreSQL need not try.
--postgres ALTER TABLE volume_pieces ALTER COLUMN data SET STORAGE EXTERNAL;
--postgres ALTER TABLE series_metadata ALTER COLUMN json SET STORAGE EXTERNAL;

-- Numbers that are given out once, to whichever node asks.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counters VALUES ('volume', 0);

-- Processes that serve this archive, and when they last said so. All times by the database's clock.
CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    identity TEXT NOT NULL,             -- of its data directory: the same node started again
    state TEXT NOT NULL,                -- 'starting', 'ready', 'draining', 'stopped'
    version TEXT NOT NULL,
    dicom TEXT NOT NULL,                -- address:port
    http TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    figures TEXT NOT NULL               -- JSON: what the node tells of itself
);

-- What one node at a time does. token grows with each holder: what a former holder still does has no effect.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    token INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
);

-- Work in the background: one row per kind and subject, done at least once and with effect once.
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    node TEXT NOT NULL DEFAULT '',      -- who has it
    token INTEGER NOT NULL DEFAULT 0,   -- grows with each taking
    puts INTEGER NOT NULL DEFAULT 0,    -- grows with each putting: what is put while it is done is done again
    until_ms INTEGER NOT NULL DEFAULT 0, -- of the lease
    dead INTEGER NOT NULL DEFAULT 0,    -- attempts are spent: kept to be looked at
    trouble TEXT NOT NULL DEFAULT '',   -- of the last attempt
    UNIQUE (kind, subject)
);
CREATE INDEX jobs_due ON jobs (kind, dead, due_ms);

-- Merging and compaction (core/merge.c). batch: 0 not looked at yet, above 0 the batch that the volume's living entries are to be built anew in,
-- -1 left as it is.
ALTER TABLE volumes ADD COLUMN batch INTEGER NOT NULL DEFAULT 0;
CREATE INDEX volumes_batch ON volumes (batch, volume) WHERE removed_ms IS NULL AND batch >= 0;
CREATE INDEX volumes_class ON volumes (storage_class, created_ms) WHERE place = 1 AND removed_ms IS NULL;
CREATE INDEX volumes_removed ON volumes (removed_ms) WHERE removed_ms IS NOT NULL;
INSERT INTO counters VALUES ('batch', 0);

-- Where the entries of a volume that is being built come from, until the transaction that makes it count.
CREATE TABLE moves (
    to_volume INTEGER NOT NULL,
    to_offset INTEGER NOT NULL,
    volume INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL,
    sop_instance_uid TEXT NOT NULL,     -- '' when it is no object
    batch INTEGER NOT NULL,
    PRIMARY KEY (to_volume, to_offset)
);

-- What tombstones name, by what it is and not by where it lies: a copy of it may lie in a volume that the index has not seen (a build that never
-- counted). A row goes with its tombstone.
CREATE TABLE graves (
    sop_instance_uid TEXT NOT NULL,
    received_ms INTEGER NOT NULL,       -- of the entry
    digest BLOB NOT NULL,               -- its first 16 bytes, and the tenant when the tombstone names one
    PRIMARY KEY (sop_instance_uid, received_ms, digest)
);

-- Who has signed in at the page, on whichever node: the digest of the secret in the cookie.
CREATE TABLE sessions (digest TEXT PRIMARY KEY, until_ms INTEGER NOT NULL);

-- Results of storage commitment that a peer waits for: a row until it was delivered, by whichever node (core/commitments.c).
CREATE TABLE commitments (
    id INTEGER PRIMARY KEY,
    peer TEXT NOT NULL,                 -- AE title
    address TEXT NOT NULL,              -- that the request came from
    transaction_uid TEXT NOT NULL,
    items TEXT NOT NULL,                -- JSON: [class, instance, class, instance, ...]
    made_ms INTEGER NOT NULL
);

-- Studies under legal hold, and those that were: the last change of each as its record in the volumes says. number: counts the changes of a study, so
-- that they count in their order however they are read. volumes.held: the bucket's own flag is set on the volume.
CREATE TABLE holds (
    study_uid TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    held INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    source TEXT NOT NULL                -- who did it
);
ALTER TABLE volumes ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX volumes_held ON volumes (volume) WHERE held = 1;

-- Who may do what, and where studies belong. Times are wall-clock milliseconds; digests are lower-case hexadecimal SHA-256.

-- ---- places and studies ----

-- Tenants, sites and departments that were named by an administrator, or by what came in. Row 0 is the own hospital's.
CREATE TABLE realms (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    site TEXT NOT NULL,
    department TEXT NOT NULL,
    display TEXT NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    UNIQUE (tenant, site, department)
);
INSERT INTO realms VALUES (0, '', '', '', '', 0);
-- Where a study belongs: of whoever sent its first object. The volumes keep it beside each object.
ALTER TABLE studies ADD COLUMN realm INTEGER NOT NULL DEFAULT 0;
-- Labels and assignments, as their records in the volumes say; they count for studies of their tenant alone. number: counts the changes of a study, so that
-- they count in their order however they are read.
CREATE TABLE study_labels (
    study_uid TEXT NOT NULL,
    tenant TEXT NOT NULL,
    label TEXT NOT NULL,
    number INTEGER NOT NULL,
    given INTEGER NOT NULL,             -- 0: taken away
    at_ms INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (study_uid, tenant, label)
);
CREATE TABLE study_assignments (
    study_uid TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,                 -- of a user
    number INTEGER NOT NULL,
    given INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (study_uid, tenant, name)
);
-- Where studies belonged that are no more: their events are seen by the same, and their UIDs stay their tenant's.
CREATE TABLE gone_studies (study_uid TEXT PRIMARY KEY, realm INTEGER NOT NULL);
-- Of whoever sent the copy. apart: under a UID that is another tenant's.
ALTER TABLE conflicts ADD COLUMN realm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conflicts ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN realm INTEGER NOT NULL DEFAULT 0;
-- The studies of before belong to the own hospital: its key, beside the empty one of every study.
INSERT INTO study_keys SELECT m.month, 'gt:', k.at, k.study FROM study_months m {join} study_keys k ON k.month = m.month AND k.key = '';

-- ---- people and programs ----

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,          -- folded: what is typed at the sign-in
    display TEXT NOT NULL,
    password TEXT NOT NULL,             -- argon2id in its own encoding; '' when somebody else knows who it is
    issuer TEXT NOT NULL DEFAULT '',    -- of OpenID Connect
    subject TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'on',   -- 'on', 'off'
    must_change INTEGER NOT NULL DEFAULT 0,
    totp TEXT NOT NULL DEFAULT '',      -- base32, '' when there is no second factor
    totp_step INTEGER NOT NULL DEFAULT 0, -- the last that was taken: none counts twice
    recovery TEXT NOT NULL DEFAULT '[]', -- JSON: digests of codes not yet used
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX users_subject ON users (issuer, subject) WHERE issuer <> '';

-- Attempts to sign in that have not succeeded, of any name that was tried, so that a name that is nobody's waits like another.
CREATE TABLE sign_in_failures (
    digest TEXT PRIMARY KEY,            -- of the folded name
    failures INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    locked_until_ms INTEGER NOT NULL
);

-- Roles beside those that ship with the program.
CREATE TABLE roles (
    name TEXT PRIMARY KEY,
    permissions TEXT NOT NULL,          -- JSON array of names
    summary TEXT NOT NULL,
    changed_ms INTEGER NOT NULL
);

-- holder: 'user', 'token' or 'peer', and the row of its table. granted_by: 'admin', 'oidc' (set anew at each sign-in), 'glass'.
CREATE TABLE grants (
    id INTEGER PRIMARY KEY,
    holder TEXT NOT NULL,
    holder_id INTEGER NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,                -- as access_scope_format writes it
    granted_by TEXT NOT NULL,
    until_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (holder, holder_id, role, scope, granted_by)
);

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL,             -- row of users; 0: of no person
    created_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,          -- 0: without end
    seen_ms INTEGER NOT NULL DEFAULT 0,
    revoked_ms INTEGER NOT NULL DEFAULT 0
);

-- The table `sessions` is left to programs one version older; nobody else reads it.
CREATE TABLE user_sessions (
    digest TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL,
    token_id INTEGER NOT NULL DEFAULT 0, -- of a token that was exchanged for it: user_id is then 0
    begun_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,          -- its absolute end
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    sid TEXT NOT NULL DEFAULT '',       -- of the provider's own session
    id_token TEXT NOT NULL DEFAULT ''   -- to be shown at its logout
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);

-- Application entities that are known.
CREATE TABLE peers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    aet TEXT NOT NULL,                  -- calling AE title; '' when any
    called TEXT NOT NULL DEFAULT '',    -- '' when any that this server answers to
    networks TEXT NOT NULL DEFAULT '[]', -- JSON: addresses and networks; empty when any
    fingerprint TEXT NOT NULL DEFAULT '', -- of its client certificate; '' when not asked for
    subject TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',      -- where it listens; '' when it is no destination
    port INTEGER NOT NULL DEFAULT 0,
    tls INTEGER NOT NULL DEFAULT 0,     -- of sending to it
    tls_name TEXT NOT NULL DEFAULT '',  -- in its certificate; '' when that is host
    services TEXT NOT NULL DEFAULT '[]', -- JSON: permissions that it is limited to beside its grants; empty when all of them
    associations INTEGER NOT NULL DEFAULT 0, -- at once; 0: as many as the server takes
    realm TEXT NOT NULL DEFAULT '',     -- where what it sends belongs, as realm_format writes it
    state TEXT NOT NULL DEFAULT 'on',
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
);

-- Results of storage commitment that wait: whom they were asked for by, as its principal is named; '' of a program one version older.
ALTER TABLE commitments ADD COLUMN asker TEXT NOT NULL DEFAULT '';

-- Broken glasses: who, why, until when, and who looked at it afterwards.
CREATE TABLE glasses (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    scope TEXT NOT NULL,
    begun_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    address TEXT NOT NULL,
    reviewed_by TEXT NOT NULL DEFAULT '',
    reviewed_ms INTEGER NOT NULL DEFAULT 0,
    verdict TEXT NOT NULL DEFAULT '',   -- 'justified', 'not justified'
    remark TEXT NOT NULL DEFAULT ''
);
CREATE INDEX glasses_open ON glasses (begun_ms) WHERE reviewed_ms = 0;

-- A number that grows with each change of users, roles, grants, tokens and peers: who keeps answers in memory asks for it.
INSERT INTO counters VALUES ('access', 0);

-- ---- the audit trail ----

-- The last record of each node's spool that is in the log: set in the transaction that puts it there.
CREATE TABLE audit_spools (
    lineage TEXT PRIMARY KEY,
    taken INTEGER NOT NULL
) WITHOUT ROWID;
-- How far something that follows the log has come: the search, and each collector.
CREATE TABLE audit_cursors (
    name TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    trouble TEXT NOT NULL DEFAULT '',
    at_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- For the search: which runs of AUDIT_BLOCK events have something of a study, a patient, somebody (a sum of its name). Made behind the log, from nothing but it.
CREATE TABLE audit_blocks (
    key INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (key, block)
) WITHOUT ROWID;
-- Whose a study is or was, also after it was deleted.
CREATE TABLE audit_studies (
    study_uid TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    PRIMARY KEY (study_uid, patient_id, issuer)
) WITHOUT ROWID;
CREATE INDEX audit_studies_patient ON audit_studies (patient_id);
-- Where the log was cut by a rule of retention: what was before and with it is gone, and the event of that time says so.
CREATE TABLE audit_cuts (
    seq INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    mark TEXT NOT NULL DEFAULT '' -- the line that was signed for it, for nodes that have not cut themselves
);

-- ---- encryption at rest ----

-- Wrapped keys of the volumes of a bucket, in runs, as they lie beside these in the bucket too (store/keys.h). Of a directory they lie in its files alone.
CREATE TABLE volume_keys (
    first_volume INTEGER PRIMARY KEY,
    run BLOB NOT NULL
);

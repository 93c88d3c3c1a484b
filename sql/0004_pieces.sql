-- The DICOM JSON of a series as a piece (text/gzip.h) without the brackets of its array: pieces are joined as they lie into the answer for a
-- series or a study. What was prepared before is made again.
DROP TABLE series_metadata;
CREATE TABLE series_metadata (
    series INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,           -- series.version at which it was made
    size INTEGER NOT NULL,              -- uncompressed
    crc INTEGER NOT NULL,               -- CRC-32 of the uncompressed text
    json BLOB NOT NULL
);
--postgres ALTER TABLE series_metadata ALTER COLUMN json SET STORAGE EXTERNAL;

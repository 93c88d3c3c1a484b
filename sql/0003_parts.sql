-- What reading a part of an object needs: the sums of its blocks, and where its frames lie.
--
-- Both can be made again from the object itself: a row that is not there, or not of the object's digest, is made when it is first asked for.
CREATE TABLE instance_parts (
    instance INTEGER PRIMARY KEY,
    sums BLOB NOT NULL,                    -- core/parts.h; empty when not made yet
    frames BLOB,                           -- of encapsulated pixel data (codec_frames_pack); NULL when not made yet
    frames_trouble TEXT NOT NULL DEFAULT '' -- why the frames of this object cannot be told
);
--postgres ALTER TABLE instance_parts ALTER COLUMN sums SET STORAGE EXTERNAL;
--postgres ALTER TABLE instance_parts ALTER COLUMN frames SET STORAGE EXTERNAL;

// Every named ceiling: sizes, depths, counts and times that anything from outside must meet.
#ifndef GANTRY_BASE_LIMITS_H
#define GANTRY_BASE_LIMITS_H

#ifdef __SANITIZE_THREAD__ // its own state of a thread lies on the stack
#define THREAD_STACK_BYTES (4 * 1024 * 1024)
#else
#define THREAD_STACK_BYTES (512 * 1024) // address sanitizer builds need most of it; touched pages only count
#endif

enum {
    // DICOM data sets
    DCM_DEPTH_MAX = 64,                      // nested sequences; deeper is refused, never recursed into
    DCM_ELEMENTS_MAX = 1 << 20,              // elements of one data set, nested ones included
    DCM_HEADER_BYTES_MAX = 64 * 1024 * 1024, // everything of an object but its bulk values, in memory
    DCM_VALUE_IN_MEMORY_MAX = 1024 * 1024,   // a longer value is kept by reference (offset, length)
    DCM_UID_MAX = 64,                        // PS3.5 9.1
    DCM_FRAGMENTS_MAX = 1 << 22,

    // Upper layer and DIMSE
    UL_PDU_BYTES_MAX = 1024 * 1024,               // largest P-DATA-TF PDU taken; offered in negotiation
    UL_ASSOCIATE_BYTES_MAX = 256 * 1024,          // largest A-ASSOCIATE-RQ/AC taken
    UL_CONTEXTS_MAX = 128,                        // PS3.8 9.3.2.2: odd identifiers 1..255
    UL_TRANSFER_SYNTAXES_MAX = 512,               // of one presentation context
    UL_USER_ITEMS_MAX = 512,                      // of one kind in the user information of an association
    UL_ARTIM_MS = 30 * 1000,                      // PS3.8 9.1.5
    UL_PDU_MS = 60 * 1000,                        // a PDU that has begun must be whole by then
    UL_IDLE_MS = 10 * 60 * 1000,                  // an association without traffic
    UL_ASSOCIATIONS_MAX = 2048,                   // at once
    DIMSE_COMMAND_BYTES_MAX = 64 * 1024,          // a command set
    DIMSE_IDENTIFIER_BYTES_MAX = 4 * 1024 * 1024, // C-FIND, C-MOVE, C-GET identifiers, N- data sets

    // Certificates
    CERT_DER_BYTES_MAX = 64 * 1024,
    CERT_FILE_BYTES_MAX = 4 * 1024 * 1024, // of a file in PEM: a system's list of authorities is a quarter MiB
    CERT_FILE_MAX = 1024,                  // certificates of one file
    CERT_NAMES_MAX = 256,                  // host names and addresses of one
    CERT_KEY_BYTES_MAX = 64 * 1024,

    // HTTP
    HTTP_CONNECTIONS_MAX = 1024,
    HTTP_HEADER_MS = 30 * 1000, // a request's header must be whole by then
    HTTP_IDLE_S = 60,
    HTTP_TARGET_BYTES_MAX = 12 * 1024, // of a request's line
    HTTP_FIELDS_BYTES_MAX = 12 * 1024, // of its header fields together
    HTTP_JSON_BYTES_MAX = 64 * 1024 * 1024,
    HTTP_PARTS_MAX = 100 * 1000, // of one multipart body
    HTTP_PART_HEADER_BYTES_MAX = 16 * 1024,
    JSON_DEPTH_MAX = 256, // DICOM JSON takes three levels per nested sequence
    XML_DEPTH_MAX = 256,
    CSV_ROWS_MAX = 100 * 1000 * 1000,
    CSV_COLUMNS_MAX = 4096,
    EV_GROUPS_MAX = 1024, // readers times modalities of one study: covariances are of each pair

    STOW_SHARED_BYTES = 1024 * 1024 * 1024, // what values that share parts of a stored body may come to ...
    STOW_SHARED_TIMES = 16,                 // ... and so many times the parts

    // S3: what a service may answer with
    S3_ANSWER_BYTES_MAX = 16 * 1024 * 1024,  // XML; a page of 1000 keys of 1024 bytes, each byte escaped, is 3 MiB
    S3_ANSWER_ARENA_MAX = 128 * 1024 * 1024, // and read
    S3_ANSWER_DEPTH_MAX = 16,
    S3_PAGE_KEYS = 1000,
    S3_PARTS_MAX = 10000, // of one upload; the service's own limit

    // Tokens that others sign, and the keys that they publish
    JWT_BYTES_MAX = 16 * 1024,
    JWT_DEPTH_MAX = 16,
    JWT_MEMBERS_MAX = 256, // of a token's header or claims
    JWKS_BYTES_MAX = 256 * 1024,
    JWKS_ARENA_BYTES = 8 * 1024 * 1024,

    // Pixels
    PX_FRAME_BYTES_MAX = 512 * 1024 * 1024,  // one frame as it is decoded
    PX_SCRATCH_BYTES_MAX = 64 * 1024 * 1024, // tables and rows besides it
    PX_OUTPUT_BYTES_MAX = 192 * 1024 * 1024, // a rendered picture
    PX_VIEWPORT_MAX = 16384,                 // its longest side
    PX_LUT_ENTRIES_MAX = 65536,              // PS3.3 C.11.1.1: 0 in a descriptor means this many
    J2K_SAMPLES_MAX = 128 * 1024 * 1024,     // of one JPEG 2000 frame: its decoder takes four bytes for each
    J2K_TILES_MAX = 16384,                   // of one JPEG 2000 frame; the standard has 65535
    J2K_PRECINCTS_MAX = 1 << 17,             // of one tile, over all resolutions
    J2K_BLOCKS_MAX = 1 << 19,                // code-blocks of one tile, likewise

    // Workers that decode and encode
    CODEC_WORKERS_MAX = 256,
    CODEC_JOB_MS = 20 * 1000,                      // what any job may take ...
    CODEC_JOB_BYTES_PER_MS = 2 * 1024,             // ... and this much longer for its bytes
    CODEC_WORKER_BASE_BYTES = 384 * 1024 * 1024,   // address space besides the frame: program, stacks, heap
    CODEC_WORKER_FRAME_TIMES = 16,                 // and so many times the frame: decoders work in wider samples
    CODEC_WORKER_THREAD_BYTES = 160 * 1024 * 1024, // per thread of a job: a stack and a heap of its own
    CODEC_INPUT_BYTES_MAX = PX_FRAME_BYTES_MAX + 4096,
    CODEC_OUTPUT_BYTES_MAX = PX_FRAME_BYTES_MAX + 64 * 1024 * 1024,

    // Store
    STORE_GROUP_OBJECTS_MAX = 1024,             // objects served by one flush
    STORE_GROUP_BYTES_MAX = 16 * 1024 * 1024,   // bytes served by one flush; what a power cut can tear is not much more
    STORE_SPOOL_BYTES = 4 * 1024 * 1024,        // an object above this waits in a staging file, not in memory
    STORE_OWN_VOLUME_BYTES = 16 * 1024 * 1024,  // a spooled object from this size on becomes a volume of its own
    STORE_VOLUME_BYTES = 256 * 1024 * 1024,     // a new volume
    STORE_VOLUME_BYTES_MIN = 1024 * 1024,       // a new volume on a disk that is nearly full
    STORE_RESERVE_BYTES_MAX = 64 * 1024 * 1024, // room that objects leave to the index, at most 1/16 of the disk
    STORE_DESCRIPTORS_MAX = 128,                // volumes kept open for reading while nobody reads them
    STORE_SOURCE_BYTES_MAX = 255,               // who sent an entry
    STORE_NOTE_BYTES_MAX = 1024,                // quarantine reason and the like
    STORE_REALM_BYTES_MAX = 256,                // where an entry's study belongs
    STORE_WRITERS_MAX = 64,                     // groups under way to a bucket
    STORE_CACHE_BLOCK_BYTES = 1024 * 1024,      // what the cache of a remote set has or has not
    STORE_FETCH_BYTES_MAX = 8 * 1024 * 1024,    // asked of a bucket in one request
    STORE_FAILURES_MAX = 3,                     // volumes sealed one after the other by failures before writing ends
};

// Evidence: tables of scores, and what an analysis makes of them
#define EV_INPUT_BYTES_MAX (4LL * 1024 * 1024 * 1024)
#define EV_ARENA_BYTES_MAX (32LL * 1024 * 1024 * 1024)
#define EV_FIGURE_BYTES_MAX (256LL * 1024 * 1024)
#define EV_ROW_BYTES_MAX (4LL * 1024 * 1024 * 1024) // one row of reference values

#define DCM_DEFLATED_BYTES_MAX (1024LL * 1024 * 1024)      // what a deflated data set may inflate to
#define STORE_CACHE_BYTES (16LL * 1024 * 1024 * 1024)      // the read cache of a remote set unless it is told
#define STORE_INDEX_BYTES (4LL * 1024 * 1024 * 1024)       // what the index keeps of volumes unless it is told
#define STORE_OBJECT_BYTES_MAX (64LL * 1024 * 1024 * 1024) // one object

#endif

/*
 * The C interface of plugins for delfin-host, version 1.0.
 *
 * A plugin is a shared library that exports two symbols:
 *
 *   delfin_plugin_manifest   what the host lists without opening the library:
 *                            DELFIN_PLUGIN_MANIFEST writes it
 *   delfin_plugin_v1         a `delfin_plugin`: the table of the functions that the host calls
 *
 * Versions
 *   The major version is in the name of the symbol and never changes. Every struct begins with
 *   its size, as its author has compiled it, and grows at its end only. The reader uses no member
 *   beyond that size: DELFIN_HAS(pointer, member) says whether a member exists. So a plugin works
 *   with every host of the same major version, older or newer. Structs without a size are frozen.
 *   Numbers that name something (outcomes, origins, levels) can have unknown values.
 *
 * Threads
 *   The host makes one call at a time for each instance. The calls of an instance may come from
 *   different threads, one after another. Different instances are called at the same time.
 *   The functions of `delfin_host` and of `delfin_call` may be called from every thread: those of
 *   `delfin_host` until `destroy` of the instance returns, those of `delfin_call` until the call
 *   returns. They do not block on input or output.
 *
 * Ownership
 *   Each side frees what it has allocated. A pointer that one side passes to the other is valid
 *   until the call returns, unless a comment says more. The receiver copies what it keeps. All
 *   functions that take texts copy them before they return.
 *
 * Errors
 *   No function may leave by an exception, a panic or `longjmp`: this ends the process. A plugin
 *   must not call `exit`, and must not change signal handlers, the working directory or the
 *   locale if it is to run in a thread of the host.
 *
 * The manual has a page about this interface: "Exporters in C".
 */
#ifndef DELFIN_PLUGIN_H
#define DELFIN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DELFIN_VERSION_MAJOR 1
#define DELFIN_VERSION_MINOR 0
/* For `delfin_plugin.version`. */
#define DELFIN_VERSION ((uint32_t)DELFIN_VERSION_MAJOR << 16 | DELFIN_VERSION_MINOR)

/* Whether the struct at `pointer` has `member`: its author may know an older version. */
#define DELFIN_HAS(pointer, member)                                                     \
    ((size_t)(pointer)->struct_size >= (size_t)((const char *)&(pointer)->member -      \
                                                (const char *)(pointer)) +              \
                                           sizeof((pointer)->member))

/* ---- Arrow C Data Interface ---------------------------------------------------------------
 * https://arrow.apache.org/docs/format/CDataInterface.html; the guard is that of the
 * specification, so that this header goes with others that have the same structs. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif

/*
 * The layout of batches. A batch is a struct array (format "+s"). Look columns up by name,
 * because a newer host can send more. The type of a column never changes. `delfin_batch.h`
 * reads both kinds.
 *
 * Element i of an array is at index `offset + i` of its buffers, with the `offset` of the array.
 * The elements of a child begin at index 0 of the child: its own `offset` is added again. For the
 * columns of the batch, add the `offset` of the batch as well. Buffer 0 is a bitmap of the valid
 * elements, least significant bit first, or NULL if all are valid.
 *
 * performance: a row is a series
 *   name         "u"      text: int32 offsets in buffer 1, UTF-8 in buffer 2; no nulls
 *   labels       "+m"     see below; no nulls
 *   timestamps   "+l"     int32 offsets in buffer 1, child "l": int64, milliseconds since the
 *                         Unix epoch; no nulls
 *   values       "+l"     int32 offsets in buffer 1, child "g": double; no nulls; as many for
 *                         each row as there are timestamps; NaN and infinities are possible
 *
 * alert: a row is an alert
 *   storage_id, storage_name, vendor, model, serial_number, alert_id, alert_name,
 *   sequence_number, category, severity, type, resource_type, location, description,
 *   recovery_advice, match_key
 *                "u"      text, as `name`; null if the alert does not have it
 *   occur_time   "l"      int64 in buffer 1, milliseconds since the Unix epoch; no nulls
 *   extra        "+m"     all other fields of the alert, as `labels`; no nulls
 *
 * labels ("+m"): int32 offsets in buffer 1; one child, a struct ("+s") with the children
 *   keys, values "i"      int32 indices in buffer 1 into `dictionary`, which is a text array;
 *                         no nulls
 */

/* ---- Texts and numbers -------------------------------------------------------------------- */

/* UTF-8, or bytes where a comment says so; not terminated. `data` may be NULL if `len` is 0.
 * Invalid UTF-8 from a plugin is replaced. */
typedef struct delfin_text {
    const char *data;
    size_t len;
} delfin_text;

/* A `delfin_text` of a string literal. */
#define DELFIN_TEXT(literal) {literal, sizeof(literal) - 1}

/* The outcome of a call: `class << 16 | detail`. The host treats an unknown detail as its
 * class. The manual says what the host does next. */
enum {
    DELFIN_DELIVERED = 1 << 16,                /* the receiver has all rows */
    DELFIN_PARTIAL = 2 << 16,                  /* all but the rows that `add_rows` names */
    DELFIN_RETRY = 3 << 16,                    /* the receiver is not available */
    DELFIN_RETRY_THROTTLED = (3 << 16) | 1,    /* the receiver asks for less load */
    DELFIN_SPLIT = 4 << 16,                    /* the request is too large */
    DELFIN_REJECT = 5 << 16,                   /* the receiver never accepts these rows */
    DELFIN_PAUSE_MISCONFIGURED = 6 << 16,      /* a setting is wrong */
    DELFIN_PAUSE_UNAUTHORIZED = (6 << 16) | 1, /* the credentials are wrong */
    DELFIN_RESTART = 7 << 16,                  /* this instance cannot be used any more */
    DELFIN_RESTART_PANICKED = (7 << 16) | 1,   /* the same, because of a fault of the plugin */
    DELFIN_UNCERTAIN = 8 << 16                 /* the rows were sent, the answer is unknown */
};

/* Where rows come from. 0: unknown. */
enum {
    DELFIN_ORIGIN_COLLECTION = 1,
    DELFIN_ORIGIN_SYNC = 2,
    DELFIN_ORIGIN_TRAP = 3,
    DELFIN_ORIGIN_INGEST = 4,
    DELFIN_ORIGIN_RESEND = 5,
    DELFIN_ORIGIN_REPLAY = 6
};

/* Levels of log records. A larger number is less severe. */
enum {
    DELFIN_LEVEL_OFF = 0,
    DELFIN_LEVEL_ERROR = 1,
    DELFIN_LEVEL_WARN = 2,
    DELFIN_LEVEL_INFO = 3,
    DELFIN_LEVEL_DEBUG = 4,
    DELFIN_LEVEL_TRACE = 5
};

/* Takes the reply of an extension, before `call_extension` returns. */
typedef void (*delfin_reply)(void *data, delfin_text bytes);

/* The result of `call_extension`. */
enum {
    DELFIN_EXTENSION_OK = 0,     /* the reply is bytes; their meaning depends on the extension */
    DELFIN_EXTENSION_FAILED = 1, /* the reply is a text that says why */
    DELFIN_EXTENSION_UNKNOWN = 2 /* the other side has no extension of this name; no reply */
};

/* ---- The host, as one instance sees it ---------------------------------------------------- */

typedef struct delfin_field {
    delfin_text key;
    delfin_text value;
} delfin_field;

typedef struct delfin_log_record {
    uint32_t struct_size;
    uint32_t level;
    delfin_text target; /* which part of the plugin logs; may be empty */
    delfin_text message;
    const delfin_field *fields;
    size_t field_count;
    uint32_t instance_unknown; /* 1: from a thread that serves several instances; otherwise 0 */
    uint32_t reserved;         /* 0 */
} delfin_log_record;

/* Valid from `create` until `destroy` returns, or until `create` returns a failure. */
typedef struct delfin_host {
    uint32_t struct_size;
    uint32_t instance;     /* the number of the instance, from 0, among those of the exporter */
    delfin_text exporter;  /* the name of the exporter in the configuration */
    delfin_text state_dir; /* a folder for files of the exporter; it survives restarts */
    uint32_t max_level;    /* the least severe level that the host logs */
    uint32_t reserved;     /* 0 */
    void *context;         /* of the host */
    /* Adds a record to the log of the host. */
    void (*log)(const struct delfin_host *host, const delfin_log_record *record);
    /* Adds to a counter of the exporter, which the host shows in its metrics. */
    void (*count)(const struct delfin_host *host, delfin_text counter, uint64_t by);
    /* 1 if the host has the extension, otherwise 0. */
    uint32_t (*has_extension)(const struct delfin_host *host, delfin_text id);
    /* Calls an extension of the host. `request` is bytes. Returns a DELFIN_EXTENSION_... */
    uint32_t (*call_extension)(const struct delfin_host *host, delfin_text id,
                               delfin_text request, delfin_reply reply, void *data);
} delfin_host;

/* ---- One call ----------------------------------------------------------------------------- */

/* Consecutive rows of a call that belong to one accepted batch. The parts follow one another. */
typedef struct delfin_part {
    uint8_t batch_id[16]; /* UUIDv7, in the byte order of RFC 9562 */
    uint64_t first_row;   /* the number of the first row in the accepted batch, from 0 */
    uint64_t rows;
    int64_t accepted_ms;    /* when the batch was accepted, in milliseconds since the Unix epoch */
    delfin_text storage_id; /* the storage of all rows; empty if they are of several, or none */
    uint32_t complete;      /* 1: every active alert of its storage; an absent alert has ended */
    uint32_t reserved;      /* 0 */
} delfin_part;

/* The circumstances of a call, and its outcome. Valid until the call returns. */
typedef struct delfin_call {
    uint32_t struct_size;
    uint32_t attempt;   /* the number of the attempt with these rows, from 1 */
    uint32_t origin;    /* where the rows come from */
    uint32_t part_size; /* the size of a `delfin_part` of the host: see `delfin_call_part` */
    const delfin_part *parts;
    size_t part_count; /* 0 outside `export_batch` */
    void *context;     /* of the host */
    /* Nanoseconds until the deadline of the call; 0 once it has passed. */
    uint64_t (*remaining_ns)(const struct delfin_call *call);
    /* 1 if the call should return soon, with or without success; otherwise 0. */
    uint32_t (*cancelled)(const struct delfin_call *call);
    /* The message of a failure: one line in lower case, with the reason and the remedy. */
    void (*set_message)(struct delfin_call *call, delfin_text message);
    /* How long the receiver asks to wait before the next attempt. */
    void (*set_retry_after)(struct delfin_call *call, uint64_t milliseconds);
    /* With DELFIN_PARTIAL: rows `first` to `first + rows - 1` of the call are not delivered,
     * because of an outcome of class reject, retry or uncertain. */
    void (*add_rows)(struct delfin_call *call, uint64_t first, uint64_t rows, uint32_t outcome,
                     delfin_text reason);
    /* An additional name and value of the outcome. The host ignores unknown names. */
    void (*add_extra)(struct delfin_call *call, delfin_text name, delfin_text value);
    /* As in `delfin_host`. */
    uint32_t (*has_extension)(const struct delfin_call *call, delfin_text id);
    uint32_t (*call_extension)(const struct delfin_call *call, delfin_text id,
                               delfin_text request, delfin_reply reply, void *data);
} delfin_call;

/* Part `i` of a call. The host may know a larger `delfin_part`. */
static inline const delfin_part *delfin_call_part(const delfin_call *call, size_t i) {
    return (const delfin_part *)(const void *)((const char *)call->parts + i * call->part_size);
}

/* ---- The plugin --------------------------------------------------------------------------- */

/*
 * The functions of a plugin. Functions with an outcome return a DELFIN_... number; with a failure
 * they set the message. `instance` is what `create` has stored, also if it is NULL.
 */
typedef struct delfin_plugin {
    uint32_t struct_size; /* sizeof(delfin_plugin) */
    uint32_t version;     /* DELFIN_VERSION */
    /*
     * Creates an instance of an exporter, and stores it in `*instance`. `config` is the settings
     * as JSON text, always an object. Refuse unknown settings, and those with a wrong value, with
     * DELFIN_PAUSE_MISCONFIGURED. DELFIN_RETRY: a start can succeed later. After a failure the
     * host does not use `*instance`.
     */
    uint32_t (*create)(delfin_text exporter, delfin_text config, const delfin_host *host,
                       delfin_call *call, void **instance);
    /*
     * Sends the rows to the receiver. `schema` belongs to the host. The plugin may take `array`:
     * copy the struct and set `array->release` to NULL. Then it owns the buffers, and calls
     * `release` of the copy once, on any thread, also after the call. Otherwise the host releases
     * the array after the call.
     */
    uint32_t (*export_batch)(void *instance, const struct ArrowSchema *schema,
                             struct ArrowArray *array, delfin_call *call);
    /* These four may be NULL, which is DELFIN_DELIVERED. `flush` sends rows that are buffered,
     * `health` asks whether the receiver is available, `tick` comes about once a second while
     * there are no rows, and `close` is the last call: it releases ports, files and connections. */
    uint32_t (*flush)(void *instance, delfin_call *call);
    uint32_t (*health)(void *instance, delfin_call *call);
    uint32_t (*tick)(void *instance, delfin_call *call);
    uint32_t (*close)(void *instance, delfin_call *call);
    /* Frees the instance. Comes once, also without `close`, on any thread. */
    void (*destroy)(void *instance);
    /* May be NULL. Checks settings without an instance, and creates nothing. */
    uint32_t (*check)(delfin_text exporter, delfin_text config, delfin_call *call);
    /* Both may be NULL: no extensions. They are called from any thread, at any time. */
    uint32_t (*has_extension)(delfin_text id);
    uint32_t (*call_extension)(delfin_text id, delfin_text request, delfin_reply reply,
                               void *data);
} delfin_plugin;

#if defined(_WIN32)
#define DELFIN_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define DELFIN_EXPORT __attribute__((visibility("default")))
#else
#define DELFIN_EXPORT
#endif

/* Define this table, with DELFIN_EXPORT. */
extern DELFIN_EXPORT const delfin_plugin delfin_plugin_v1;

/* ---- The manifest ------------------------------------------------------------------------- */

/*
 * DELFIN_PLUGIN_MANIFEST("acme", "0.1.0", "Acme Inc.", "Apache-2.0",
 *     DELFIN_EXPORTER("PerformanceExporterAcme", "performance", "Sends series to Acme") ","
 *     DELFIN_EXPORTER("AlertExporterAcme", "alert", "Sends alerts to Acme"),
 *     "# The word that each line begins with.\n"
 *     "greeting = \"received\"\n")
 *
 * All arguments are string literals, and all but the last one without quotes and backslashes:
 * name, version (semantic), vendor, licence (SPDX), the exporters, and the settings as TOML, which
 * `plugins inspect` prints. Use it once, outside functions, in one source file.
 */
#define DELFIN_PLUGIN_MANIFEST(name, version, vendor, license, exporters, example)             \
    DELFIN_MANIFEST_WITH(name, version, vendor, license, exporters, example, "")

/* The same for a plugin that must not run in a thread of the host: one that has a runtime of its
 * own, or changes signal handlers. */
#define DELFIN_PROCESS_PLUGIN_MANIFEST(name, version, vendor, license, exporters, example)     \
    DELFIN_MANIFEST_WITH(name, version, vendor, license, exporters, example,                   \
                         "\"isolation\":\"process\",")

/* An exporter: its name in the configuration (1 to 64 of A-Z a-z 0-9 . _ -), its kind
 * ("performance" or "alert"), and a description. */
#define DELFIN_EXPORTER(name, kind, description)                                               \
    DELFIN_EXPORTER_WITH(name, kind, description, "\"exclusive\":false")

/* The same with further members in JSON: `exclusive` (true if an instance must be closed before
 * the next one is created), `unique_settings` (the settings in which no two exporters of the plugin
 * may have the same value), `max_points` (the most points or alerts in one call), `resend_seconds`
 * (the interval at which active alerts are sent again). */
#define DELFIN_EXPORTER_WITH(name, kind, description, members)                                 \
    "{\"name\":\"" name "\",\"kind\":\"" kind "\",\"description\":\"" description "\"," members "}"

#define DELFIN_STRINGIFY_(text) #text
#define DELFIN_STRINGIFY(text) DELFIN_STRINGIFY_(text)

#if defined(__VERSION__) && !defined(__clang__)
#define DELFIN_COMPILER "cc " __VERSION__
#elif defined(__VERSION__)
#define DELFIN_COMPILER __VERSION__
#else
#define DELFIN_COMPILER ""
#endif

#define DELFIN_MANIFEST_JSON(name, version, vendor, license, exporters, more)                  \
    "{\"abi\":\"c " DELFIN_STRINGIFY(DELFIN_VERSION_MAJOR) "." DELFIN_STRINGIFY(               \
        DELFIN_VERSION_MINOR) "\",\"rustc\":\"" DELFIN_COMPILER "\"," more                     \
                              "\"plugin\":\"" name "\",\"version\":\"" version                 \
                              "\",\"vendor\":\"" vendor "\",\"license\":\"" license             \
                              "\",\"exporters\":[" exporters "]}"

#if defined(__APPLE__)
#define DELFIN_MANIFEST_SECTION __attribute__((section("__DATA,__delfin_plugin"), used))
#else
#define DELFIN_MANIFEST_SECTION __attribute__((section(".delfin_plugin"), used))
#endif

/* A length as four bytes, least significant first. */
#define DELFIN_LENGTH(length)                                                                  \
    {(length) & 255, (length) >> 8 & 255, (length) >> 16 & 255, (length) >> 24 & 255}

/* Two records: the magic bytes, the version of the format, the length, and the text. */
#define DELFIN_MANIFEST_WITH(name, version, vendor, license, exporters, example, more)         \
    extern DELFIN_EXPORT const struct delfin_manifest {                                        \
        char magic[8];                                                                         \
        unsigned char format[4];                                                               \
        unsigned char length[4];                                                               \
        char json[sizeof(DELFIN_MANIFEST_JSON(name, version, vendor, license, exporters,       \
                                              more))];                                         \
        char example_magic[8];                                                                 \
        unsigned char example_format[4];                                                       \
        unsigned char example_length[4];                                                       \
        char example_text[sizeof(example)];                                                    \
    } delfin_plugin_manifest;                                                                  \
    DELFIN_MANIFEST_SECTION const struct delfin_manifest delfin_plugin_manifest = {            \
        {'D', 'E', 'L', 'F', 'I', 'N', 'P', 'L'},                                              \
        {1, 0, 0, 0},                                                                          \
        DELFIN_LENGTH(                                                                         \
            sizeof(DELFIN_MANIFEST_JSON(name, version, vendor, license, exporters, more)) - 1),\
        DELFIN_MANIFEST_JSON(name, version, vendor, license, exporters, more),                 \
        {'D', 'E', 'L', 'F', 'I', 'N', 'E', 'X'},                                              \
        {1, 0, 0, 0},                                                                          \
        DELFIN_LENGTH(sizeof(example) - 1),                                                    \
        example,                                                                               \
    }

#ifdef __cplusplus
}
#endif

#endif

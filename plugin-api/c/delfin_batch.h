/*
 * Reads batches: rows, texts, labels and points, without a copy.
 *
 * Everything that these functions return points into the batch, and is valid until
 * `export_batch` returns, or until the array is released if the plugin has taken it.
 */
#ifndef DELFIN_BATCH_H
#define DELFIN_BATCH_H

#include "delfin_plugin.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A text column. `first` is the index of row 0 in its buffers. */
typedef struct delfin_text_column {
    const struct ArrowArray *array;
    int64_t first;
} delfin_text_column;

/* A column of keys or values of labels. */
typedef struct delfin_index_column {
    const int32_t *indices;
    delfin_text_column texts;
} delfin_index_column;

/* A map column. */
typedef struct delfin_label_column {
    const int32_t *offsets;
    delfin_index_column keys;
    delfin_index_column values;
} delfin_label_column;

/* The labels of a row: number `begin` to `end - 1` of the column. */
typedef struct delfin_labels {
    const delfin_label_column *column;
    int32_t begin;
    int32_t end;
} delfin_labels;

/* A column that is not there, as `open` functions leave it. */
static inline int64_t delfin_column_number(const struct ArrowSchema *schema, const char *name,
                                           const char *format) {
    for (int64_t i = 0; i < schema->n_children; i++)
        if (strcmp(schema->children[i]->name, name) == 0)
            return strcmp(schema->children[i]->format, format) == 0 ? i : -1;
    return -1;
}

static inline int delfin_text_is_null(const delfin_text_column *column, int64_t row) {
    const uint8_t *valid = (const uint8_t *)column->array->buffers[0];
    int64_t at = column->first + row;
    return valid && !(valid[at / 8] >> (at % 8) & 1);
}

static inline delfin_text delfin_text_at(const delfin_text_column *column, int64_t row) {
    const int32_t *offsets = (const int32_t *)column->array->buffers[1] + column->first + row;
    delfin_text text = {(const char *)column->array->buffers[2] + offsets[0],
                        (size_t)(offsets[1] - offsets[0])};
    return text;
}

static inline delfin_text delfin_indexed_text(const delfin_index_column *column, int32_t at) {
    return delfin_text_at(&column->texts, column->indices[at]);
}

static inline delfin_text delfin_label_key(const delfin_labels *labels, int32_t number) {
    return delfin_indexed_text(&labels->column->keys, labels->begin + number);
}

static inline delfin_text delfin_label_value(const delfin_labels *labels, int32_t number) {
    return delfin_indexed_text(&labels->column->values, labels->begin + number);
}

static inline int32_t delfin_label_count(const delfin_labels *labels) {
    return labels->end - labels->begin;
}

/* The value of a label in `value`. Returns 0 if the row does not have it. */
static inline int delfin_label(const delfin_labels *labels, const char *key, delfin_text *value) {
    size_t len = strlen(key);
    for (int32_t i = 0; i < delfin_label_count(labels); i++) {
        delfin_text found = delfin_label_key(labels, i);
        if (found.len == len && memcmp(found.data, key, len) == 0) {
            *value = delfin_label_value(labels, i);
            return 1;
        }
    }
    return 0;
}

static inline delfin_labels delfin_labels_at(const delfin_label_column *column, int64_t row) {
    delfin_labels labels = {column, column->offsets[row], column->offsets[row + 1]};
    return labels;
}

static inline int delfin_open_index(delfin_index_column *column, const struct ArrowSchema *schema,
                                    const struct ArrowArray *array, int64_t skipped) {
    if (strcmp(schema->format, "i") != 0 || !schema->dictionary ||
        strcmp(schema->dictionary->format, "u") != 0)
        return 0;
    column->indices = (const int32_t *)array->buffers[1] + array->offset + skipped;
    column->texts.array = array->dictionary;
    column->texts.first = array->dictionary->offset;
    return 1;
}

static inline int delfin_open_labels(delfin_label_column *column, const struct ArrowSchema *schema,
                                     const struct ArrowArray *array, const char *name) {
    int64_t at = delfin_column_number(schema, name, "+m");
    if (at < 0)
        return 0;
    const struct ArrowArray *map = array->children[at];
    const struct ArrowArray *entries = map->children[0];
    const struct ArrowSchema *entry = schema->children[at]->children[0];
    if (entry->n_children != 2)
        return 0;
    column->offsets = (const int32_t *)map->buffers[1] + array->offset + map->offset;
    return delfin_open_index(&column->keys, entry->children[0], entries->children[0],
                             entries->offset) &&
           delfin_open_index(&column->values, entry->children[1], entries->children[1],
                             entries->offset);
}

static inline int delfin_open_text(delfin_text_column *column, const struct ArrowSchema *schema,
                                   const struct ArrowArray *array, const char *name) {
    int64_t at = delfin_column_number(schema, name, "u");
    if (at < 0)
        return 0;
    column->array = array->children[at];
    column->first = array->offset + column->array->offset;
    return 1;
}

/* ---- Performance batches: each row is a series -------------------------------------------- */

typedef struct delfin_performance {
    int64_t rows;
    delfin_text_column names;
    delfin_label_column labels;
    const int32_t *timestamp_offsets;
    const int64_t *timestamps;
    const int32_t *value_offsets;
    const double *values;
} delfin_performance;

/* The points of a series: `count` times, in milliseconds since the Unix epoch, and values. */
typedef struct delfin_points {
    int64_t count;
    const int64_t *timestamps;
    const double *values;
} delfin_points;

/* Returns 0 if a column is missing or has another type: answer DELFIN_REJECT. */
static inline int delfin_open_performance(delfin_performance *batch,
                                          const struct ArrowSchema *schema,
                                          const struct ArrowArray *array) {
    int64_t timestamps = delfin_column_number(schema, "timestamps", "+l");
    int64_t values = delfin_column_number(schema, "values", "+l");
    if (timestamps < 0 || values < 0 ||
        strcmp(schema->children[timestamps]->children[0]->format, "l") != 0 ||
        strcmp(schema->children[values]->children[0]->format, "g") != 0)
        return 0;
    const struct ArrowArray *list = array->children[timestamps];
    batch->rows = array->length;
    batch->timestamp_offsets = (const int32_t *)list->buffers[1] + array->offset + list->offset;
    batch->timestamps = (const int64_t *)list->children[0]->buffers[1] + list->children[0]->offset;
    list = array->children[values];
    batch->value_offsets = (const int32_t *)list->buffers[1] + array->offset + list->offset;
    batch->values = (const double *)list->children[0]->buffers[1] + list->children[0]->offset;
    return delfin_open_text(&batch->names, schema, array, "name") &&
           delfin_open_labels(&batch->labels, schema, array, "labels");
}

/* The name of the metric. */
static inline delfin_text delfin_series_name(const delfin_performance *batch, int64_t row) {
    return delfin_text_at(&batch->names, row);
}

static inline delfin_labels delfin_series_labels(const delfin_performance *batch, int64_t row) {
    return delfin_labels_at(&batch->labels, row);
}

static inline delfin_points delfin_series_points(const delfin_performance *batch, int64_t row) {
    delfin_points points = {batch->value_offsets[row + 1] - batch->value_offsets[row],
                            batch->timestamps + batch->timestamp_offsets[row],
                            batch->values + batch->value_offsets[row]};
    return points;
}

/* ---- Alert batches: each row is an alert -------------------------------------------------- */

enum { DELFIN_ALERT_TEXTS = 16 };

typedef struct delfin_alerts {
    int64_t rows;
    delfin_text_column texts[DELFIN_ALERT_TEXTS];
    const int64_t *occur_times; /* of row i at i, in milliseconds since the Unix epoch */
    delfin_label_column extra;
} delfin_alerts;

/* The name of a text column, by number from 0. */
static inline const char *delfin_alert_text_name(int number) {
    static const char *const names[DELFIN_ALERT_TEXTS] = {
        "storage_id",      "storage_name",  "vendor",   "model",
        "serial_number",   "alert_id",      "alert_name", "sequence_number",
        "category",        "severity",      "type",     "resource_type",
        "location",        "description",   "recovery_advice", "match_key",
    };
    return names[number];
}

/* Returns 0 if a column is missing or has another type: answer DELFIN_REJECT. */
static inline int delfin_open_alerts(delfin_alerts *batch, const struct ArrowSchema *schema,
                                     const struct ArrowArray *array) {
    int64_t times = delfin_column_number(schema, "occur_time", "l");
    if (times < 0)
        return 0;
    batch->rows = array->length;
    batch->occur_times = (const int64_t *)array->children[times]->buffers[1] + array->offset +
                         array->children[times]->offset;
    for (int i = 0; i < DELFIN_ALERT_TEXTS; i++)
        if (!delfin_open_text(&batch->texts[i], schema, array, delfin_alert_text_name(i)))
            return 0;
    return delfin_open_labels(&batch->extra, schema, array, "extra");
}

/* The text of a column, by its number, in `text`. Returns 0 if the alert does not have it. */
static inline int delfin_alert_text(const delfin_alerts *batch, int64_t row, int number,
                                    delfin_text *text) {
    if (delfin_text_is_null(&batch->texts[number], row))
        return 0;
    *text = delfin_text_at(&batch->texts[number], row);
    return 1;
}

/* All other fields of the alert. */
static inline delfin_labels delfin_alert_extra(const delfin_alerts *batch, int64_t row) {
    return delfin_labels_at(&batch->extra, row);
}

#ifdef __cplusplus
}
#endif

#endif

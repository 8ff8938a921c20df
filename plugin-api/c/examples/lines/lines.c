/*
 * Writes each series and each alert as a line of JSON to a file.
 *
 * While the file cannot be opened, rows wait: DELFIN_RETRY. Series without the label
 * `required_label` are refused one by one: DELFIN_PARTIAL.
 */
#include "delfin_batch.h"
#include "delfin_plugin.h"
#include "delfin_settings.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

DELFIN_PLUGIN_MANIFEST(
    "lines", "0.1.0", "The delfin-host authors", "Apache-2.0",
    DELFIN_EXPORTER("PerformanceExporterCLines", "performance", "Writes series as lines") ","
    DELFIN_EXPORTER("AlertExporterCLines", "alert", "Writes alerts as lines"),
    "# The file that lines are appended to.\n"
    "path = \"/var/lib/delfin-host/lines.jsonl\"\n"
    "# A label that each series must have. Series without it become dead letters.\n"
    "# required_label = \"resource_id\"\n");

typedef struct lines {
    const delfin_host *host;
    int alerts;
    char path[4096];
    char required_label[256];
} lines;

/* Copies a setting; returns why it is refused, or NULL. */
static const char *copy_text(char *to, size_t size, const delfin_setting *setting) {
    if (setting->type != DELFIN_SETTING_TEXT)
        return "is not a text (write it in quotes)";
    if (setting->text.len == 0 || setting->text.len >= size)
        return "is empty or too long (shorten it)";
    memcpy(to, setting->text.data, setting->text.len + 1);
    return NULL;
}

static const char *take_setting(void *data, const delfin_setting *setting) {
    lines *self = data;
    if (strcmp(setting->key, "path") == 0)
        return copy_text(self->path, sizeof self->path, setting);
    if (strcmp(setting->key, "required_label") == 0)
        return copy_text(self->required_label, sizeof self->required_label, setting);
    return "is unknown (write `path` or `required_label`)";
}

/* Sets the message, and returns the outcome. */
static uint32_t fail(delfin_call *call, uint32_t outcome, const char *format, ...) {
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    delfin_text text = {message, strlen(message)};
    call->set_message(call, text);
    return outcome;
}

static uint32_t read_settings(lines *self, delfin_text config, delfin_call *call) {
    uint32_t outcome = delfin_read_settings(config, take_setting, self, call);
    if (outcome == DELFIN_DELIVERED && !*self->path)
        return fail(call, DELFIN_PAUSE_MISCONFIGURED, "`path` is missing (write a path)");
    return outcome;
}

static uint32_t check(delfin_text exporter, delfin_text config, delfin_call *call) {
    (void)exporter;
    lines self = {0};
    return read_settings(&self, config, call);
}

static uint32_t create(delfin_text exporter, delfin_text config, const delfin_host *host,
                       delfin_call *call, void **instance) {
    lines *self = calloc(1, sizeof *self);
    if (!self)
        return DELFIN_RETRY;
    uint32_t outcome = read_settings(self, config, call);
    if (outcome != DELFIN_DELIVERED) {
        free(self);
        return outcome;
    }
    self->host = host;
    self->alerts = exporter.len > 0 && exporter.data[0] == 'A';
    *instance = self;
    return DELFIN_DELIVERED;
}

static void put_text(FILE *file, delfin_text text) {
    putc('"', file);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 32)
            fprintf(file, "\\u%04x", c);
        else
            putc(c, file);
    }
    putc('"', file);
}

static void put_labels(FILE *file, const delfin_labels *labels, int first) {
    for (int32_t i = 0; i < delfin_label_count(labels); i++) {
        if (i > 0 || !first)
            putc(',', file);
        put_text(file, delfin_label_key(labels, i));
        putc(':', file);
        put_text(file, delfin_label_value(labels, i));
    }
}

static uint32_t put_series(lines *self, FILE *file, const delfin_performance *batch,
                           delfin_call *call) {
    uint32_t outcome = DELFIN_DELIVERED;
    for (int64_t row = 0; row < batch->rows; row++) {
        delfin_labels labels = delfin_series_labels(batch, row);
        delfin_text value;
        if (*self->required_label && !delfin_label(&labels, self->required_label, &value)) {
            delfin_text reason = DELFIN_TEXT("the series lacks the required label");
            call->add_rows(call, (uint64_t)row, 1, DELFIN_REJECT, reason);
            outcome = DELFIN_PARTIAL;
            continue;
        }
        fputs("{\"name\":", file);
        put_text(file, delfin_series_name(batch, row));
        fputs(",\"labels\":{", file);
        put_labels(file, &labels, 1);
        fputs("},\"points\":[", file);
        delfin_points points = delfin_series_points(batch, row);
        for (int64_t i = 0; i < points.count; i++) {
            fprintf(file, "%s[%lld,", i > 0 ? "," : "", (long long)points.timestamps[i]);
            if (isfinite(points.values[i]))
                fprintf(file, "%.17g]", points.values[i]);
            else
                fputs("null]", file);
        }
        fputs("]}\n", file);
    }
    return outcome;
}

static void put_alerts(FILE *file, const delfin_alerts *batch) {
    for (int64_t row = 0; row < batch->rows; row++) {
        fprintf(file, "{\"occur_time\":%lld", (long long)batch->occur_times[row]);
        for (int i = 0; i < DELFIN_ALERT_TEXTS; i++) {
            delfin_text text;
            if (!delfin_alert_text(batch, row, i, &text))
                continue;
            fprintf(file, ",\"%s\":", delfin_alert_text_name(i));
            put_text(file, text);
        }
        delfin_labels extra = delfin_alert_extra(batch, row);
        put_labels(file, &extra, 0);
        fputs("}\n", file);
    }
}

static uint32_t export_batch(void *instance, const struct ArrowSchema *schema,
                             struct ArrowArray *array, delfin_call *call) {
    lines *self = instance;
    delfin_performance series;
    delfin_alerts alerts;
    if (self->alerts ? !delfin_open_alerts(&alerts, schema, array)
                     : !delfin_open_performance(&series, schema, array))
        return fail(call, DELFIN_REJECT, "not a batch of this kind");
    FILE *file = fopen(self->path, "a");
    if (!file)
        return fail(call, DELFIN_RETRY, "cannot open `%s`: %s", self->path, strerror(errno));
    uint32_t outcome = DELFIN_DELIVERED;
    if (self->alerts)
        put_alerts(file, &alerts);
    else
        outcome = put_series(self, file, &series, call);
    int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        return fail(call, DELFIN_RETRY, "cannot write `%s`: %s", self->path, strerror(errno));
    delfin_text counter = DELFIN_TEXT("batches");
    self->host->count(self->host, counter, 1);
    return outcome;
}

static void destroy(void *instance) { free(instance); }

DELFIN_EXPORT const delfin_plugin delfin_plugin_v1 = {
    .struct_size = sizeof(delfin_plugin),
    .version = DELFIN_VERSION,
    .create = create,
    .export_batch = export_batch,
    .destroy = destroy,
    .check = check,
};

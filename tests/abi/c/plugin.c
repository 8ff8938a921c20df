/* A plugin of one version of the C interface: the header on the include path decides. */
#include "delfin_plugin.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef STRUCT_SIZE
#define STRUCT_SIZE sizeof(delfin_plugin)
#endif
#ifndef VERSION
#define VERSION DELFIN_VERSION
#endif

DELFIN_PLUGIN_MANIFEST("compat-c", "0.1.0", "", "Apache-2.0",
                       DELFIN_EXPORTER("Counter", "performance", "Counts rows"), "");

typedef struct counter {
    const delfin_host *host;
    long long rows;
} counter;

static uint32_t report(const counter *self, const char *what, delfin_call *call) {
    char message[256];
    const char *machine = "";
#if DELFIN_VERSION_MINOR >= 1
    machine = " on unknown machine";
    if (DELFIN_HAS(call, machine) && DELFIN_HAS(self->host, machine))
        machine = " on alpha";
#endif
    delfin_text text = {message, 0};
    text.len = (size_t)snprintf(message, sizeof message, "%s %lld for %.*s%s", what, self->rows,
                                (int)self->host->exporter.len, self->host->exporter.data, machine);
    call->set_message(call, text);
    return DELFIN_DELIVERED;
}

static uint32_t create(delfin_text exporter, delfin_text config, const delfin_host *host,
                       delfin_call *call, void **instance) {
    (void)exporter, (void)config, (void)call;
    counter *self = calloc(1, sizeof *self);
    self->host = host;
    *instance = self;
    return DELFIN_DELIVERED;
}

static uint32_t export_batch(void *instance, const struct ArrowSchema *schema,
                             struct ArrowArray *array, delfin_call *call) {
    counter *self = instance;
    (void)schema;
    self->rows += array->length;
    for (size_t i = 0; i < call->part_count; i++)
        if (delfin_call_part(call, i)->rows != 7)
            return DELFIN_REJECT;
    return report(self, "exported", call);
}

static uint32_t flush(void *instance, delfin_call *call) {
    return report(instance, "flushed", call);
}

static uint32_t health(void *instance, delfin_call *call) {
    return report(instance, "healthy", call);
}

static uint32_t tick(void *instance, delfin_call *call) { return report(instance, "ticked", call); }

static uint32_t close_instance(void *instance, delfin_call *call) {
    return report(instance, "closed", call);
}

#if DELFIN_VERSION_MINOR >= 1
static delfin_text describe(void) {
    delfin_text text = DELFIN_TEXT("counting");
    return text;
}
#endif

DELFIN_EXPORT const delfin_plugin delfin_plugin_v1 = {
    .struct_size = STRUCT_SIZE,
    .version = VERSION,
    .create = create,
    .export_batch = export_batch,
    .flush = flush,
    .health = health,
    .tick = tick,
    .close = close_instance,
    .destroy = free,
#if DELFIN_VERSION_MINOR >= 1
    .describe = describe,
#endif
};

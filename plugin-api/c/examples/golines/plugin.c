/* The manifest and the table of the plugin. The functions are in Go. */
#include "_cgo_export.h"

/* A Go runtime changes signal handlers, so it needs a process of its own. */
DELFIN_PROCESS_PLUGIN_MANIFEST(
    "golines", "0.1.0", "The delfin-host authors", "Apache-2.0",
    DELFIN_EXPORTER("PerformanceExporterGoLines", "performance", "Writes series as lines") ","
    DELFIN_EXPORTER("AlertExporterGoLines", "alert", "Writes alerts as lines"),
    "# The file that lines are appended to.\n"
    "path = \"/var/lib/delfin-host/lines.jsonl\"\n"
    "# A label that each series must have. Series without it become dead letters.\n"
    "# required_label = \"resource_id\"\n");

static uint32_t create(delfin_text exporter, delfin_text config, const delfin_host *host,
                       delfin_call *call, void **instance) {
    uintptr_t handle = 0;
    uint32_t outcome = goCreate(exporter, config, (delfin_host *)host, call, &handle);
    *instance = (void *)handle;
    return outcome;
}

static uint32_t export_batch(void *instance, const struct ArrowSchema *schema,
                             struct ArrowArray *array, delfin_call *call) {
    return goExport((uintptr_t)instance, (struct ArrowSchema *)schema, array, call);
}

static void destroy(void *instance) { goDestroy((uintptr_t)instance); }

DELFIN_EXPORT const delfin_plugin delfin_plugin_v1 = {
    .struct_size = sizeof(delfin_plugin),
    .version = DELFIN_VERSION,
    .create = create,
    .export_batch = export_batch,
    .destroy = destroy,
    .check = goCheck,
};

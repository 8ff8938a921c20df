/* Reads every point, as `src/sum.rs` does, in a plugin that has the C interface only. */
#include "delfin_batch.h"
#include "delfin_plugin.h"

DELFIN_PLUGIN_MANIFEST("sum", "0.1.0", "The delfin-host authors", "Apache-2.0",
                       DELFIN_EXPORTER("PerformanceExporterSum", "performance", "Reads every point"),
                       "");

static volatile double sink;

static uint32_t create(delfin_text exporter, delfin_text config, const delfin_host *host,
                       delfin_call *call, void **instance) {
    (void)exporter, (void)config, (void)host, (void)call;
    *instance = (void *)&sink;
    return DELFIN_DELIVERED;
}

static uint32_t export_batch(void *instance, const struct ArrowSchema *schema,
                             struct ArrowArray *array, delfin_call *call) {
    (void)instance, (void)call;
    delfin_performance batch;
    if (!delfin_open_performance(&batch, schema, array))
        return DELFIN_REJECT;
    double values = 0;
    int64_t lengths = 0;
    for (int64_t row = 0; row < batch.rows; row++) {
        delfin_labels labels = delfin_series_labels(&batch, row);
        for (int32_t i = 0; i < delfin_label_count(&labels); i++) {
            lengths += (int64_t)(delfin_label_key(&labels, i).len +
                                 delfin_label_value(&labels, i).len);
        }
        delfin_points points = delfin_series_points(&batch, row);
        for (int64_t i = 0; i < points.count; i++)
            values += points.values[i];
    }
    sink = values + (double)lengths;
    return DELFIN_DELIVERED;
}

static void destroy(void *instance) { (void)instance; }

DELFIN_EXPORT const delfin_plugin delfin_plugin_v1 = {
    .struct_size = sizeof(delfin_plugin),
    .version = DELFIN_VERSION,
    .create = create,
    .export_batch = export_batch,
    .destroy = destroy,
};

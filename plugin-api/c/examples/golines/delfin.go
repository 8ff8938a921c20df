// This file connects Go code with the C interface of plugins. The exporter is in the other files:
// they define newExporter and readSettings.

package main

/*
#include "delfin_batch.h"
#include "delfin_plugin.h"
#include <stdlib.h>

static void set_message(delfin_call *call, _GoString_ message) {
    delfin_text text = {_GoStringPtr(message), _GoStringLen(message)};
    call->set_message(call, text);
}

static void add_rows(delfin_call *call, uint64_t first, uint64_t rows, uint32_t outcome,
                     _GoString_ reason) {
    delfin_text text = {_GoStringPtr(reason), _GoStringLen(reason)};
    call->add_rows(call, first, rows, outcome, text);
}

static void log_record(const delfin_host *host, uint32_t level, _GoString_ message) {
    delfin_log_record record = {.struct_size = sizeof record, .level = level};
    delfin_text target = DELFIN_TEXT("exporter");
    record.target = target;
    record.message.data = _GoStringPtr(message);
    record.message.len = _GoStringLen(message);
    host->log(host, &record);
}

static void count(const delfin_host *host, _GoString_ counter, uint64_t by) {
    delfin_text text = {_GoStringPtr(counter), _GoStringLen(counter)};
    host->count(host, text, by);
}

static int is_performance(const struct ArrowSchema *schema) {
    return delfin_column_number(schema, "values", "+l") >= 0;
}
*/
import "C"

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"unsafe"
)

// Failure is an outcome other than delivered.
type Failure struct {
	Outcome uint32
	Message string
	Rows    []Undelivered
}

// Undelivered names a row that is not delivered, with an outcome of its own.
type Undelivered struct {
	Row     int
	Outcome uint32
	Reason  string
}

func (f *Failure) Error() string { return f.Message }

// Failuref makes a failure of all rows.
func Failuref(outcome uint32, format string, arguments ...any) *Failure {
	return &Failure{Outcome: outcome, Message: fmt.Sprintf(format, arguments...)}
}

// The outcomes that Go code uses.
const (
	Partial       uint32 = C.DELFIN_PARTIAL
	Retry         uint32 = C.DELFIN_RETRY
	Throttled     uint32 = C.DELFIN_RETRY_THROTTLED
	TooLarge      uint32 = C.DELFIN_SPLIT
	Reject        uint32 = C.DELFIN_REJECT
	Misconfigured uint32 = C.DELFIN_PAUSE_MISCONFIGURED
	Unauthorized  uint32 = C.DELFIN_PAUSE_UNAUTHORIZED
	Uncertain     uint32 = C.DELFIN_UNCERTAIN
	panicked      uint32 = C.DELFIN_RESTART_PANICKED
)

// Host is the host, as one instance sees it.
type Host struct{ host *C.delfin_host }

// Info adds a line to the log of the host.
func (h Host) Info(format string, arguments ...any) {
	C.log_record(h.host, C.DELFIN_LEVEL_INFO, fmt.Sprintf(format, arguments...))
}

// Count adds to a counter in the metrics of the host.
func (h Host) Count(counter string, by uint64) { C.count(h.host, counter, C.uint64_t(by)) }

// Series is a row of a performance batch.
type Series struct {
	Name       string
	Labels     map[string]string
	Timestamps []int64 // milliseconds since the Unix epoch
	Values     []float64
}

// Alert is a row of an alert batch.
type Alert struct {
	OccurTime int64 // milliseconds since the Unix epoch
	Texts     map[string]string
	Extra     map[string]string
}

// SeriesExporter is an exporter of performance batches. A nil error means that the receiver has
// all rows. The slices of a row point into the batch: copy what you keep after the call.
type SeriesExporter interface {
	ExportSeries(rows []Series) error
}

// AlertExporter is an exporter of alert batches. A nil error is as for series.
type AlertExporter interface {
	ExportAlerts(rows []Alert) error
}

// decodeSettings reads settings, and refuses unknown ones.
func decodeSettings(config string, settings any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(config)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(settings); err != nil && err != io.EOF {
		return Failuref(Misconfigured, "%v", err)
	}
	return nil
}

func text(text C.delfin_text) string { return C.GoStringN(text.data, C.int(text.len)) }

func labels(labels *C.delfin_labels) map[string]string {
	found := map[string]string{}
	for i := C.int32_t(0); i < C.delfin_label_count(labels); i++ {
		found[text(C.delfin_label_key(labels, i))] = text(C.delfin_label_value(labels, i))
	}
	return found
}

func slice[To, From any](from *From, count C.int64_t) []To {
	if count == 0 {
		return nil
	}
	return unsafe.Slice((*To)(unsafe.Pointer(from)), int(count))
}

func readSeries(schema *C.struct_ArrowSchema, array *C.struct_ArrowArray) ([]Series, error) {
	// C memory: rows point to it, and C may not see a Go pointer in them.
	batch := (*C.delfin_performance)(C.malloc(C.sizeof_delfin_performance))
	defer C.free(unsafe.Pointer(batch))
	if C.delfin_open_performance(batch, schema, array) == 0 {
		return nil, Failuref(Reject, "not a performance batch")
	}
	rows := make([]Series, batch.rows)
	for i := range rows {
		row := C.int64_t(i)
		of := C.delfin_series_labels(batch, row)
		points := C.delfin_series_points(batch, row)
		rows[i] = Series{
			Name:       text(C.delfin_series_name(batch, row)),
			Labels:     labels(&of),
			Timestamps: slice[int64](points.timestamps, points.count),
			Values:     slice[float64](points.values, points.count),
		}
	}
	return rows, nil
}

func readAlerts(schema *C.struct_ArrowSchema, array *C.struct_ArrowArray) ([]Alert, error) {
	batch := (*C.delfin_alerts)(C.malloc(C.sizeof_delfin_alerts))
	defer C.free(unsafe.Pointer(batch))
	if C.delfin_open_alerts(batch, schema, array) == 0 {
		return nil, Failuref(Reject, "not an alert batch")
	}
	times := slice[int64](batch.occur_times, batch.rows)
	rows := make([]Alert, batch.rows)
	for i := range rows {
		texts := map[string]string{}
		for column := C.int(0); column < C.DELFIN_ALERT_TEXTS; column++ {
			var found C.delfin_text
			if C.delfin_alert_text(batch, C.int64_t(i), column, &found) != 0 {
				texts[C.GoString(C.delfin_alert_text_name(column))] = text(found)
			}
		}
		extra := C.delfin_alert_extra(batch, C.int64_t(i))
		rows[i] = Alert{OccurTime: times[i], Texts: texts, Extra: labels(&extra)}
	}
	return rows, nil
}

// report sets the outcome of a call. It must be deferred: it recovers from a panic, which must
// not reach the host.
func report(call *C.delfin_call, err *error, outcome *C.uint32_t) {
	if reason := recover(); reason != nil {
		*err = Failuref(panicked, "panicked: %v", reason)
	}
	*outcome = C.DELFIN_DELIVERED
	if *err == nil {
		return
	}
	failure := &Failure{Outcome: Retry, Message: (*err).Error()}
	errors.As(*err, &failure)
	C.set_message(call, failure.Message)
	for _, row := range failure.Rows {
		C.add_rows(call, C.uint64_t(row.Row), 1, C.uint32_t(row.Outcome), row.Reason)
	}
	*outcome = C.uint32_t(failure.Outcome)
}

//export goCreate
func goCreate(exporter, config C.delfin_text, host *C.delfin_host, call *C.delfin_call, instance *C.uintptr_t) (outcome C.uint32_t) {
	var err error
	defer report(call, &err, &outcome)
	var created any
	if created, err = newExporter(text(exporter), text(config), Host{host}); err == nil {
		*instance = C.uintptr_t(cgo.NewHandle(created))
	}
	return
}

//export goCheck
func goCheck(exporter, config C.delfin_text, call *C.delfin_call) (outcome C.uint32_t) {
	var err error
	defer report(call, &err, &outcome)
	_, err = readSettings(text(config))
	return
}

//export goExport
func goExport(instance C.uintptr_t, schema *C.struct_ArrowSchema, array *C.struct_ArrowArray, call *C.delfin_call) (outcome C.uint32_t) {
	var err error
	defer report(call, &err, &outcome)
	exporter := cgo.Handle(instance).Value()
	var series []Series
	if C.is_performance(schema) != 0 {
		if series, err = readSeries(schema, array); err == nil {
			err = exporter.(SeriesExporter).ExportSeries(series)
		}
		return
	}
	var alerts []Alert
	if alerts, err = readAlerts(schema, array); err == nil {
		err = exporter.(AlertExporter).ExportAlerts(alerts)
	}
	return
}

//export goDestroy
func goDestroy(instance C.uintptr_t) { cgo.Handle(instance).Delete() }

// A library has no main function, but Go needs one.
func main() {}

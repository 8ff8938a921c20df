// Writes each series and each alert as a line of JSON to a file.
package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
)

type settings struct {
	Path          string `json:"path"`
	RequiredLabel string `json:"required_label"`
}

type lines struct {
	settings settings
	host     Host
}

func readSettings(config string) (settings, error) {
	var read settings
	err := decodeSettings(config, &read)
	if err == nil && read.Path == "" {
		err = Failuref(Misconfigured, "`path` is missing (write a path)")
	}
	return read, err
}

func newExporter(_ string, config string, host Host) (any, error) {
	read, err := readSettings(config)
	return &lines{settings: read, host: host}, err
}

func (l *lines) ExportSeries(rows []Series) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	refused := &Failure{Outcome: Partial}
	for row, series := range rows {
		if _, ok := series.Labels[l.settings.RequiredLabel]; !ok && l.settings.RequiredLabel != "" {
			reason := "the series lacks the required label"
			refused.Rows = append(refused.Rows, Undelivered{row, Reject, reason})
			continue
		}
		points := make([][2]any, len(series.Values))
		for i, value := range series.Values {
			points[i] = [2]any{series.Timestamps[i], value}
			if math.IsNaN(value) || math.IsInf(value, 0) {
				points[i][1] = nil
			}
		}
		line := map[string]any{"name": series.Name, "labels": series.Labels, "points": points}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	if err := l.write(out.Bytes()); err != nil || len(refused.Rows) == 0 {
		return err
	}
	return refused
}

func (l *lines) ExportAlerts(rows []Alert) error {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, alert := range rows {
		line := map[string]any{"occur_time": alert.OccurTime}
		for name, text := range alert.Extra {
			line[name] = text
		}
		for name, text := range alert.Texts {
			line[name] = text
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return l.write(out.Bytes())
}

func (l *lines) write(text []byte) error {
	file, err := os.OpenFile(l.settings.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return Failuref(Retry, "%v", err)
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return Failuref(Retry, "%v", err)
	}
	l.host.Count("batches", 1)
	return nil
}

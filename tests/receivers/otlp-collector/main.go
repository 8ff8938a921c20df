// Command otlp-collector runs the OTLP receiver of the OpenTelemetry Collector, over HTTP and gRPC,
// and appends what it accepts to a file: a line of JSON for each request.
//
// usage: otlp-collector HTTP-ADDRESS GRPC-ADDRESS FILE
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	file := must(os.OpenFile(os.Args[3], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644))
	var lock sync.Mutex
	// The response is sent when this returns, so that what is confirmed is in the file.
	write := func(line []byte, err error) error {
		if err != nil {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		_, err = file.Write(append(line, '\n'))
		return err
	}
	metrics := must(consumer.NewMetrics(func(_ context.Context, metrics pmetric.Metrics) error {
		return write((&pmetric.JSONMarshaler{}).MarshalMetrics(metrics))
	}))
	logs := must(consumer.NewLogs(func(_ context.Context, logs plog.Logs) error {
		return write((&plog.JSONMarshaler{}).MarshalLogs(logs))
	}))

	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	settings := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"http": map[string]any{"endpoint": os.Args[1]},
		"grpc": map[string]any{"endpoint": os.Args[2]},
	}})
	if err := settings.Unmarshal(&config); err != nil {
		log.Fatal(err)
	}
	set := receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	// Both are one receiver, which listens once.
	host := componenttest.NewNopHost()
	for _, part := range []component.Component{
		must(factory.CreateMetrics(ctx, set, config, metrics)),
		must(factory.CreateLogs(ctx, set, config, logs)),
	} {
		if err := part.Start(ctx, host); err != nil {
			log.Fatal(err)
		}
	}
	select {}
}

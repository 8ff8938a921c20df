// Command otlp-collector runs the OTLP receiver of the OpenTelemetry Collector, over HTTP and gRPC,
// and appends what it accepts to a file: a line of JSON for each request. While FILE.refuse exists,
// it refuses requests with the code of gRPC in it, and the seconds of a RetryInfo unless they are 0.
//
// usage: otlp-collector HTTP-ADDRESS GRPC-ADDRESS FILE [CERTIFICATE KEY CLIENT-CA]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// refusal is the error that the file has, or nil.
func refusal(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var code, seconds uint32
	must(fmt.Sscan(string(text), &code, &seconds))
	refused := status.New(codes.Code(code), "refused by the test")
	if seconds > 0 {
		delay := durationpb.New(time.Duration(seconds) * time.Second)
		refused = must(refused.WithDetails(&errdetails.RetryInfo{RetryDelay: delay}))
	}
	return refused.Err()
}

// endpoint has the settings of a protocol.
func endpoint(address string) map[string]any {
	settings := map[string]any{"endpoint": address}
	if len(os.Args) > 4 {
		settings["tls"] = map[string]any{
			"cert_file": os.Args[4], "key_file": os.Args[5], "client_ca_file": os.Args[6],
		}
	}
	return settings
}

func main() {
	ctx := context.Background()
	file := must(os.OpenFile(os.Args[3], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644))
	var lock sync.Mutex
	// The response is sent when this returns, so that what is confirmed is in the file.
	write := func(line []byte, err error) error {
		if err == nil {
			err = refusal(os.Args[3] + ".refuse")
		}
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
		"http": endpoint(os.Args[1]),
		"grpc": endpoint(os.Args[2]),
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

// Command otlp-collector runs components of the OpenTelemetry Collector.
//
// usage: otlp-collector HTTP-ADDRESS GRPC-ADDRESS FILE [CERTIFICATE KEY CLIENT-CA]
//
// The OTLP receiver, over HTTP and gRPC, appends what it accepts to the file: a line of JSON for each request.
// While FILE.refuse exists, it refuses requests with the code of gRPC in it, and the seconds of a RetryInfo unless
// they are 0.
//
// usage: otlp-collector CONFIGURATION
//
// Metrics go from the receiver `otlp` of a configuration to its exporter `otlphttp`.
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
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
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

// config is the configuration of a component with these settings.
func config(factory component.Factory, settings *confmap.Conf) component.Config {
	config := factory.CreateDefaultConfig()
	check(settings.Unmarshal(&config))
	return config
}

func start(parts ...component.Component) {
	// Those that receive are one, which listens once.
	host := componenttest.NewNopHost()
	for _, part := range parts {
		check(part.Start(context.Background(), host))
	}
}

// receive appends to a file.
func receive() {
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
	config := config(factory, confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"http": endpoint(os.Args[1]),
		"grpc": endpoint(os.Args[2]),
	}}))
	set := receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	start(must(factory.CreateMetrics(ctx, set, config, metrics)), must(factory.CreateLogs(ctx, set, config, logs)))
}

// forward sends what it receives to another receiver.
func forward(file string) {
	ctx := context.Background()
	resolver := must(confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + file},
		ProviderFactories: []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory()},
	}))
	settings := must(resolver.Resolve(ctx))
	telemetry := componenttest.NewNopTelemetrySettings()
	telemetry.Logger = must(zap.NewDevelopment())
	sender := otlphttpexporter.NewFactory()
	sending := must(sender.CreateMetrics(ctx, exporter.Settings{
		ID:                component.NewID(sender.Type()),
		TelemetrySettings: telemetry,
	}, config(sender, must(settings.Sub("exporters::otlphttp")))))
	factory := otlpreceiver.NewFactory()
	start(sending, must(factory.CreateMetrics(ctx, receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: telemetry,
	}, config(factory, must(settings.Sub("receivers::otlp"))), sending)))
}

func main() {
	if len(os.Args) == 2 {
		forward(os.Args[1])
	} else {
		receive()
	}
	select {}
}

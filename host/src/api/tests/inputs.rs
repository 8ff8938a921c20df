//! Inputs of other monitoring systems: what their clients see.

use base64::{Engine, engine::general_purpose::STANDARD};
use delfin_plugin_api::protobuf::{ProtobufField, ProtobufReader, ProtobufWriter};

use super::host::{Answer, Host};
use crate::access::AccessScope;

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Request of remote write 2.0 whose series refer to the texts by their numbers.
fn remote_write(series: &[&[u64]]) -> Vec<u8> {
    let mut body = ProtobufWriter::default();
    for text in ["", "__name__", "up", "instance", "a7"] {
        body.text(4, text);
    }
    for refs in series {
        body.message(5, |one| {
            one.message(1, |packed| {
                refs.iter().for_each(|number| packed.varint(*number))
            });
            one.message(2, |sample| {
                sample.double(1, 1.0);
                sample.uint(2, 1_700_000_000_000);
            });
        });
    }
    let encoded = snap::raw::Encoder::new().compress_vec(body.as_bytes());
    encoded.unwrap()
}

/// Request of remote write 1.0 with a series of these labels, names and values in turns.
fn one_sample(labels: &[&str], value: f64) -> Vec<u8> {
    let mut body = ProtobufWriter::default();
    body.message(1, |one| {
        for [name, text] in labels.as_chunks().0 {
            one.message(1, |label| {
                label.text(1, name);
                label.text(2, text);
            });
        }
        one.message(2, |sample| {
            sample.double(1, value);
            sample.uint(2, 1_700_000_000_000);
        });
    });
    let encoded = snap::raw::Encoder::new().compress_vec(body.as_bytes());
    encoded.unwrap()
}

fn send(host: &Host, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    host.send("POST", path, headers, body)
}

fn points(host: &Host, input: &str) -> u64 {
    let page = host.get("/metrics").body;
    let start = format!("delfin_host_input_points_total{{input=\"{input}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap().parse().unwrap()
}

#[test]
fn remote_write_is_answered_as_its_specification_says() {
    let host = Host::start();
    let write = |content_type: &str, body: &[u8]| {
        let headers = [
            ("Content-Type", content_type),
            ("Content-Encoding", "snappy"),
        ];
        send(&host, "/api/v1/write", &headers, body)
    };
    let written = |answer: &Answer| {
        let kinds = ["samples", "histograms", "exemplars"];
        kinds.map(|kind| {
            let name = format!("x-prometheus-remote-write-{kind}-written");
            answer.header(&name).unwrap().to_owned()
        })
    };
    let good: &[u64] = &[1, 2, 3, 4];
    let answer = write(V2, &remote_write(&[good]));
    assert_eq!((answer.status, &*answer.body), (204, ""));
    assert_eq!(written(&answer), ["1", "0", "0"]);
    let partial = write(V2, &remote_write(&[good, &[1, 2], &[1, 2, 3, 9]]));
    assert_eq!(written(&partial), ["1", "0", "0"]);
    partial.is_error(
        400,
        "InvalidInput",
        "Invalid input received. 2 series were refused, and 1 points are stored; series 1 `up`: no rule of the \
         mapping files gives it a `storage_id` (add a `[[series]]` rule)",
    );
    assert_eq!(points(&host, "remote_write"), 2);
    write("application/json", b"").is_error(
        415,
        "InvalidContentType",
        "Invalid content type: content type `application/json` is not accepted (send `application/x-protobuf`, with \
         `proto=prometheus.WriteRequest` or `proto=io.prometheus.write.v2.Request`).",
    );
    assert_eq!(write(V2, b"rubbish").status, 400);
    let gzip = [("Content-Type", V2), ("Content-Encoding", "gzip")];
    assert_eq!(send(&host, "/api/v1/write", &gzip, b"").status, 415);
    // Prometheus takes an answer without samples for an error.
    let nan = one_sample(&["__name__", "up", "instance", "a7"], f64::NAN);
    assert_eq!(
        written(&write("application/x-protobuf", &nan)),
        ["1", "0", "0"]
    );
    let nameless = one_sample(&["__name__", "up", "instance", "a7", "", "x"], 1.0);
    let refused = write("application/x-protobuf", &nameless);
    assert_eq!(written(&refused), ["0", "0", "0"]);
    assert!(
        refused.body.contains("a label has no name"),
        "{}",
        refused.body
    );
    // Metadata comes in requests without series: they make no record.
    let metadata = snap::raw::Encoder::new().compress_vec(b"\x1a\0").unwrap();
    assert_eq!(write("application/x-protobuf", &metadata).status, 204);
    for (content_type, body) in [
        (V2, one_sample(&["__name__", "up", "instance", "a7"], 1.0)),
        ("application/x-protobuf", remote_write(&[good])),
        ("application/x-protobuf", vec![0]),
    ] {
        let refused = write(content_type, &body);
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body.contains("Content-Type"), "{}", refused.body);
    }
    assert_eq!(points(&host, "remote_write"), 2);
}

#[test]
fn a_request_with_the_key_of_another_is_not_stored_again() {
    let host = Host::start();
    let snappy = remote_write(&[&[1, 2, 3, 4]]);
    let otlp = otlp_request("host.name");
    let requests = [
        ("/api/v1/write", V2, &*snappy),
        ("/v1/metrics", "application/json", otlp.as_bytes()),
        (
            "/write?precision=s",
            "text/plain",
            b"cpu,host=a load=1 1700000000",
        ),
    ];
    for (path, content_type, body) in requests {
        let write = |key: &str| {
            let headers = [("Content-Type", content_type), ("Idempotency-Key", key)];
            let answer = send(&host, path, &headers, body);
            let replayed = answer.header("idempotency-replayed").map(str::to_owned);
            (answer.status, replayed)
        };
        let (status, first) = write(path);
        assert_eq!((first, status < 300), (None, true), "{path}");
        assert_eq!(write(path), (status, Some("true".to_owned())));
        assert_eq!(write(&format!("{path}2")), (status, None));
        assert_eq!(write("").0, 400, "{path}");
    }
    for input in ["remote_write", "otlp", "influxdb"] {
        assert_eq!(points(&host, input), 2, "{input}");
    }
    let page = host.get("/metrics").body;
    assert!(
        page.contains("duplicate_batches_total{kind=\"performance\"} 3\n"),
        "{page}"
    );
}

fn otlp_request(attribute: &str) -> String {
    format!(
        r#"{{"resourceMetrics": [{{"resource": {{"attributes": [{{"key": "{attribute}", "value": {{"stringValue": "a7"}}}}]}},
          "scopeMetrics": [{{"metrics": [{{"name": "g", "gauge": {{"dataPoints": [
            {{"timeUnixNano": "1700000000000000000", "asInt": "1"}}]}}}}]}}]}}]}}"#
    )
}

#[test]
fn otlp_is_answered_in_its_encoding() {
    let host = Host::start();
    let json = |body: &str| {
        send(
            &host,
            "/v1/metrics",
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        )
    };
    let answer = json(&otlp_request("host.name"));
    assert_eq!((answer.status, &*answer.body), (200, "{}"));
    let partial = json(&otlp_request("other")).json();
    assert_eq!(partial["partialSuccess"]["rejectedDataPoints"], "1");
    let error = json("[]").json();
    assert_eq!(error["code"], 3);
    assert!(
        error["message"].to_string().contains("is not an object"),
        "{error}"
    );
    assert_eq!(points(&host, "otlp"), 1);

    let protobuf = [("Content-Type", "application/x-protobuf")];
    let refused = send(&host, "/v1/metrics", &protobuf, b"<html>");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.header("content-type"),
        Some("application/x-protobuf")
    );
    let status: Vec<_> = ProtobufReader::new(refused.body.as_bytes())
        .flatten()
        .collect();
    assert_eq!(status[0], (1, ProtobufField::Varint(3)));
    assert_eq!(send(&host, "/v1/metrics", &protobuf, b"").status, 200);
    let unknown = [("Content-Type", "application/cbor")];
    assert_eq!(send(&host, "/v1/metrics", &unknown, b"").status, 415);
}

#[test]
fn lines_are_answered_as_influxdb_does() {
    let host = Host::start();
    let text = [("Content-Type", "text/plain; charset=utf-8")];
    let write = |path: &str, body: &str| send(&host, path, &text, body.as_bytes());
    let lines = "cpu,host=a load=1 1700000000\n";
    for path in [
        "/api/v2/write?org=o&bucket=b&precision=s",
        "/write?db=b&precision=s&rp=x",
    ] {
        let answer = write(path, lines);
        assert_eq!((answer.status, &*answer.body), (204, ""), "{path}");
        let partial = write(path, &format!("{lines}cpu,host=a load\n{lines}"));
        assert_eq!(partial.status, 400);
        let body = partial.json();
        let wanted = "partial write: line 2: the field `load` has no value dropped=1";
        assert_eq!(
            (&body["message"], &body["error"]),
            (&wanted.into(), &wanted.into())
        );
        assert_eq!(
            (&body["code"], &body["line"]),
            (&"invalid".into(), &2.into())
        );
    }
    assert_eq!(points(&host, "influxdb"), 6);
    let wrong = write("/write?precision=d", "").json();
    assert!(
        wrong["error"].to_string().contains("`precision`"),
        "{wrong}"
    );
    assert_eq!(host.get("/ping").status, 204);
    // As curl sends it.
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(
        send(&host, "/write?db=b", &form, b"cpu,host=a load=1").status,
        204
    );
    assert_eq!(send(&host, "/v1/ingest/alerts", &form, b"[]").status, 415);
}

#[test]
fn clients_show_a_token_as_their_protocol_does_and_only_there() {
    let host = Host::start();
    let token = host.tokens().add("t", &[AccessScope::Ingest]).unwrap();
    let token = token.as_str();
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{token}")));
    let influxdb = format!("Token {token}");
    let influxdb_1 = format!("Token user:{token}");
    let bearer = format!("Bearer {token}");
    let status = |path: &str, authorization: &str| {
        let headers = [
            ("Authorization", authorization),
            ("Content-Type", "application/octet-stream"),
        ];
        let used = if authorization.is_empty() { 1.. } else { 0.. };
        send(&host, path, &headers[used], b"").status
    };
    for shown in [&basic, &influxdb, &influxdb_1, &bearer] {
        for path in ["/write", "/api/v2/write"] {
            assert_eq!(status(path, shown), 204, "{path} {shown}");
        }
        assert_eq!(
            status("/v1/ingest/performance", shown) == 401,
            shown != &bearer
        );
    }
    assert_eq!(status(&format!("/write?u=x&p={token}"), ""), 204);
    assert_eq!(status(&format!("/api/v2/write?u=x&p={token}"), ""), 401);
    assert_eq!(status("/write", ""), 401);
    assert_eq!(status("/write", "Token wrong"), 401);
    assert_eq!(status("/write", "Basic %"), 401);
}

#[test]
fn a_client_without_the_right_token_is_told_so_as_its_protocol_does() {
    let host = Host::start();
    let reader = host.tokens().add("r", &[AccessScope::Read]).unwrap();
    let bearer = format!("Bearer {}", reader.as_str());
    for (shown, status, influxdb, grpc, reason) in [
        (
            "Bearer wrong",
            401,
            "unauthorized",
            16,
            "the token is unknown",
        ),
        (
            &bearer,
            403,
            "forbidden",
            7,
            "does not have the scope `ingest`",
        ),
    ] {
        let write = |path: &str, content_type: &str| {
            let headers = [("Authorization", shown), ("Content-Type", content_type)];
            let answer = send(&host, path, &headers, b"");
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            answer
        };
        for path in ["/write", "/api/v2/write"] {
            let body = write(path, "text/plain").json();
            assert_eq!(body["code"], influxdb);
            let message = body["message"].as_str().unwrap();
            assert!(message.contains(reason), "{message}");
            assert_eq!(body["error"], message);
        }
        let body = write("/v1/metrics", "application/json").json();
        assert_eq!(body["code"], grpc);
        assert!(body["message"].as_str().unwrap().contains(reason), "{body}");
        let answer = write("/v1/metrics", "application/x-protobuf");
        assert_eq!(
            answer.header("content-type"),
            Some("application/x-protobuf")
        );
        assert!(answer.body.contains(reason), "{}", answer.body);
        let body = write("/api/v1/write", "application/x-protobuf").json();
        assert!(
            body["error_msg"].as_str().unwrap().contains(reason),
            "{body}"
        );
    }
}

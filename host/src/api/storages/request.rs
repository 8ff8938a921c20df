//! What a request gives, checked: nothing of it is repeated in a refusal but the
//! names of fields.

use axum::{
    extract::{Query, Request},
    http::header::CONTENT_TYPE,
};
use serde_json::{Map, Value};

use super::{
    super::{ApiState, error::ApiError, extract::body},
    Params,
};
use crate::{
    collect::EXTRA,
    inventory::{Access, PerformanceSchedule},
    storages::NewStorage,
};

/// A registration is short.
const MAX_BODY_BYTES: u64 = 1 << 20;

const KEY_TYPES: [&str; 5] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
];
const OLD_KEY_TYPE: &str = "ssh-dss";
/// Longer intervals are mistakes: a year, in seconds.
const LONGEST_INTERVAL: u64 = 31_536_000;

type Object = Map<String, Value>;

/// Fields of one object, and where it stands in the body.
struct Fields<'a> {
    object: &'a Object,
    place: &'a str,
}

/// The JSON of a request.
pub(in crate::api) async fn json(api: &ApiState, request: Request) -> Result<Value, ApiError> {
    let (head, mut content) = request.into_parts();
    let media = head.headers.get(CONTENT_TYPE);
    let media = media
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        body::discard_later(&head.headers, content);
        return Err(ApiError::InvalidContentType {
            detail: "it must be `application/json`".to_owned(),
        });
    }
    let limit = api.parts().config.max_body_bytes.min(MAX_BODY_BYTES);
    let bytes = match body::read(&mut content, limit).await {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(error) => {
            body::discard_later(&head.headers, content);
            return Err(error);
        }
    };
    // What the parser says may show a part of the body.
    serde_json::from_slice(&bytes).map_err(|_| ApiError::MalformedRequestBody {
        detail: "cannot understand JSON".to_owned(),
    })
}

/// The parameters of a query.
pub(super) fn params(params: Params) -> Result<Vec<(String, String)>, ApiError> {
    let Query(params) = params.map_err(|_| ApiError::invalid("the query cannot be read"))?;
    Ok(params)
}

/// A whole number, as Python reads one.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_sound = digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_sound
        .then(|| text.replace('_', "").parse().ok())
        .flatten()
}

/// A storage to register.
pub(super) fn storage(body: &Value) -> Result<NewStorage, ApiError> {
    let fields = Fields::new(body, "the body")?;
    let known = [
        "vendor",
        "model",
        "storage_name",
        "rest",
        "ssh",
        "cli",
        "smis",
        EXTRA,
    ];
    fields.only(&known)?;
    let mut access = Access::new();
    for kind in ["rest", "ssh", "cli", "smis"] {
        let Some(place) = fields.object.get(kind) else {
            continue;
        };
        reached(kind, &Fields::new(place, kind)?)?;
        access.insert(kind.to_owned(), place.clone());
    }
    let new = NewStorage {
        vendor: fields.required_text("vendor", 255)?,
        model: fields.required_text("model", 255)?,
        storage_name: fields.text("storage_name", 1, 255)?,
        access,
    };
    if new.access.is_empty() {
        return Err(ApiError::invalid(
            "one of `rest`, `ssh`, `cli` and `smis` is required",
        ));
    }
    let mut new = new;
    if let Some(extra) = fields.object.get(EXTRA) {
        let checked = Fields::new(extra, EXTRA)?;
        for name in checked.object.keys() {
            if is_plain(name) {
                checked.text(name, 0, 255)?;
            }
        }
        new.access.insert(EXTRA.to_owned(), extra.clone());
    }
    Ok(new)
}

/// How often a storage is to be measured.
pub(super) fn polling(body: &Value) -> Result<PerformanceSchedule, ApiError> {
    let fields = Fields::new(body, "the body")?;
    fields.only(&["array_polling"])?;
    let polling = fields.required("array_polling")?;
    let polling = Fields::new(polling, "array_polling")?;
    polling.only(&["perf_collection", "interval", "is_historic"])?;
    let seconds = polling.required("interval")?.as_u64();
    let seconds = seconds.filter(|seconds| (1..=LONGEST_INTERVAL).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        ApiError::invalid(format!(
            "`array_polling.interval` must be a whole number of seconds from 1 to {LONGEST_INTERVAL}"
        ))
    })?;
    Ok(PerformanceSchedule {
        enabled: polling.flag("perf_collection")?,
        interval: std::time::Duration::from_secs(seconds),
        backfill: polling.flag("is_historic")?,
    })
}

/// The times that alerts are asked for; 0 where none is given.
pub(super) fn times(body: &Value) -> Result<[i64; 2], ApiError> {
    let fields = Fields::new(body, "the body")?;
    fields.only(&["begin_time", "end_time"])?;
    Ok([fields.time("begin_time")?, fields.time("end_time")?])
}

fn reached(kind: &str, fields: &Fields<'_>) -> Result<(), ApiError> {
    let mut known = vec!["host", "port", "username", "password"];
    match kind {
        "ssh" => known.extend(["pub_key", "pub_key_type"]),
        "smis" => known.push("namespace"),
        _others => {}
    }
    fields.only(&known)?;
    let host = fields.required("host")?.as_str();
    let is_host = |host: &str| host.len() <= 255 && host.bytes().all(is_of_host);
    if !host.is_some_and(is_host) {
        return Err(fields.wrong("host", "must be a host's name or address"));
    }
    match (kind, fields.object.get("port")) {
        ("cli" | "smis", None) => {}
        (_, port) => {
            let port = port.and_then(Value::as_u64);
            if port.is_none_or(|port| port > 65_535) {
                return Err(fields.wrong("port", "must be a whole number from 0 to 65535"));
            }
        }
    }
    fields.required_text("username", 255)?;
    fields.required_text("password", 255)?;
    if kind == "ssh" {
        fields.required_text("pub_key", 4096)?;
        let key_type = fields.object.get("pub_key_type");
        let is_known = |value: &Value| {
            value
                .as_str()
                .is_some_and(|name| name == OLD_KEY_TYPE || KEY_TYPES.contains(&name))
        };
        if !key_type.is_none_or(is_known) {
            return Err(fields.wrong("pub_key_type", "is none that is known"));
        }
    }
    fields.text("namespace", 1, 255)?;
    Ok(())
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)
}

/// A name whose value has to be a text; others are their driver's own affair.
fn is_plain(name: &str) -> bool {
    let of_name = |byte: u8| is_of_host(byte) || byte == b' ';
    (1..=255).contains(&name.len()) && name.bytes().all(of_name)
}

impl<'a> Fields<'a> {
    fn new(value: &'a Value, place: &'a str) -> Result<Self, ApiError> {
        let object = value.as_object();
        let object =
            object.ok_or_else(|| ApiError::invalid(format!("`{place}` must be an object")))?;
        Ok(Self { object, place })
    }

    fn wrong(&self, name: &str, what: &str) -> ApiError {
        ApiError::invalid(format!("`{name}` of `{}` {what}", self.place))
    }

    fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let mut names = self.object.keys();
        match names.find(|name| !known.contains(&name.as_str())) {
            // A name may be a secret that slipped: it is not repeated.
            Some(_) => Err(ApiError::invalid(format!(
                "`{}` has a field that is none of {}",
                self.place,
                known.join(", ")
            ))),
            None => Ok(()),
        }
    }

    fn required(&self, name: &str) -> Result<&'a Value, ApiError> {
        let value = self.object.get(name);
        value.ok_or_else(|| self.wrong(name, "is required"))
    }

    fn required_text(&self, name: &str, longest: usize) -> Result<String, ApiError> {
        let text = self.text(name, 1, longest)?;
        text.ok_or_else(|| self.wrong(name, "is required"))
    }

    fn text(
        &self,
        name: &str,
        shortest: usize,
        longest: usize,
    ) -> Result<Option<String>, ApiError> {
        let Some(value) = self.object.get(name) else {
            return Ok(None);
        };
        let fits = |text: &&str| (shortest..=longest).contains(&text.chars().count());
        match value.as_str().filter(fits) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.wrong(
                name,
                &format!("must be a text of {shortest} to {longest} characters"),
            )),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let flag = self.required(name)?.as_bool();
        flag.ok_or_else(|| self.wrong(name, "must be true or false"))
    }

    fn time(&self, name: &str) -> Result<i64, ApiError> {
        let Some(value) = self.object.get(name) else {
            return Ok(0);
        };
        let huge = |value: &Value| {
            let number = value.as_f64()?;
            // What is that large has been written as a whole number or makes no difference.
            (number.abs() >= i64::MAX as f64).then_some(number as i64)
        };
        let time = value.as_i64().or_else(|| huge(value));
        time.ok_or_else(|| self.wrong(name, "must be a whole number of milliseconds"))
    }
}

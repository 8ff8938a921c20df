//! What errors of the server mean for the rows.
//!
//! An error begins with a word in capitals, its code, and goes on with a text.

use delfin_plugin_api::{Failure, stream::Address, text::excerpt};

const MAX_REASON: usize = 500;

/// The failure that the error of a command without rows means: `AUTH`, `SELECT` or `PING`.
pub(crate) fn login_failure(error: &str, address: &Address) -> Failure {
    let message = format!("`{address}`: {}", excerpt(error, MAX_REASON));
    match code_of(error) {
        "WRONGPASS" | "NOAUTH" => unauthorized(&message),
        "ERR" if error.contains("AUTH") || error.contains("password") => unauthorized(&message),
        _ => failure(error, message),
    }
}

/// The failure that the error of `XADD` means.
pub(crate) fn add_failure(error: &str, stream: &str) -> Failure {
    let message = format!("`{stream}`: {}", excerpt(error, MAX_REASON));
    match code_of(error) {
        "WRONGPASS" | "NOAUTH" => unauthorized(&message),
        // Before a login, Redis reads short commands only.
        "ERR" if error.contains("unauthenticated") => unauthorized(&message),
        _ => failure(error, message),
    }
}

fn unauthorized(message: &str) -> Failure {
    Failure::Unauthorized {
        message: format!("{message} (check `username` and `password`)"),
    }
}

fn failure(error: &str, message: String) -> Failure {
    let misconfigured = |remedy: &str| Failure::misconfigured(format!("{message} ({remedy})"));
    match code_of(error) {
        "NOPERM" => {
            misconfigured("allow the user to call `XADD`, `SELECT` and `PING` on the streams")
        }
        "WRONGTYPE" => misconfigured("it is another kind of key: set another `stream`"),
        "MOVED" | "ASK" | "CROSSSLOT" => misconfigured(
            "the server is a node of a cluster, which is not supported: use a server without one",
        ),
        "OOM" => Failure::retry(format!(
            "{message} (raise `maxmemory` there, or set a smaller `max_length`)"
        )),
        "READONLY" => Failure::retry(format!("{message} (connect to the primary server)")),
        "ERR" if error.contains("max number of clients") => Failure::retry(message),
        "ERR" if error.contains("DB index") => {
            misconfigured("set a smaller `database`, or raise `databases` at the server")
        }
        "ERR" if error.contains("in cluster mode") => {
            misconfigured("set `database = 0`: a cluster has no other")
        }
        "ERR" if error.contains("unknown command") => {
            misconfigured("use a server with streams: Redis 5 or newer")
        }
        "ERR" => Failure::misconfigured(message),
        // The server loads its data, cannot write to its disk, or has too few replicas.
        _ => Failure::retry(message),
    }
}

fn code_of(error: &str) -> &str {
    error.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{setting::Mistakes, testkit::check_outcome};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_code_of_an_error_decides_what_happens_to_the_rows() {
        let check = |error: &str, name: &str, part: &str| {
            check_outcome(&Err(add_failure(error, "s")), name, part);
        };
        check(
            "NOAUTH Authentication required.",
            "unauthorized",
            "`password`",
        );
        check(
            "ERR Protocol error: unauthenticated multibulk length",
            "unauthorized",
            "`password`",
        );
        check(
            "NOPERM no permissions to run xadd",
            "misconfigured",
            "allow the user",
        );
        check("WRONGTYPE Operation against", "misconfigured", "`stream`");
        check("MOVED 3999 127.0.0.1:6381", "misconfigured", "cluster");
        check(
            "ERR unknown command 'XADD'",
            "misconfigured",
            "Redis 5 or newer",
        );
        check("OOM command not allowed", "retry", "`maxmemory`");
        check("READONLY You can't write", "retry", "primary");
        check("LOADING Redis is loading", "retry", "");
        check("MISCONF Redis is configured", "retry", "");
        check("", "retry", "");
    }

    #[test]
    fn a_refused_login_pauses_the_exporter() {
        let mut mistakes = Mistakes::default();
        let address = Address::read("address", Some(json!("a")), 6379, &mut mistakes).unwrap();
        let check = |error: &str, name: &str| {
            check_outcome(&Err(login_failure(error, &address)), name, "`a:6379`");
        };
        check("WRONGPASS invalid username-password pair", "unauthorized");
        check(
            "ERR AUTH <password> called without any password",
            "unauthorized",
        );
        check("ERR invalid password", "unauthorized");
        check("ERR DB index is out of range", "misconfigured");
        let index = login_failure("ERR DB index is out of range", &address);
        check_outcome(&Err(index), "misconfigured", "smaller `database`");
        check("ERR max number of clients reached", "retry");
    }
}

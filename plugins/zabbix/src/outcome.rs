//! What a response means.

use delfin_plugin_api::{Failure, stream::Address, text::excerpt};
use serde::Deserialize;

const MAX_REASON: usize = 300;

/// The answer to `sender data`.
#[derive(Deserialize)]
struct SenderAnswer {
    response: String,
    #[serde(default)]
    info: String,
    redirect: Option<ProxyRedirect>,
}

/// Another proxy of a group is responsible for the hosts.
#[derive(Deserialize)]
struct ProxyRedirect {
    address: Option<String>,
}

/// How many values Zabbix has accepted and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueCounts {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

impl ValueCounts {
    /// Reads `processed: 1; failed: 0; total: 1; seconds spent: 0.000055`.
    fn read(info: &str) -> Option<Self> {
        let mut parts = info.split(';').map(str::trim);
        let mut number = |name: &str| {
            let part = parts.next()?.strip_prefix(name)?.strip_prefix(": ")?;
            part.parse().ok()
        };
        Some(Self {
            accepted: number("processed")?,
            refused: number("failed")?,
        })
    }

    /// Checks that the answer is about as many values as were sent.
    pub(crate) fn check(self, sent: u64, address: &Address) -> Result<(), Failure> {
        let Self { accepted, refused } = self;
        if accepted + refused == sent {
            return Ok(());
        }
        Err(Failure::Uncertain {
            message: format!(
                "`{address}` answers for {accepted} accepted and {refused} refused values, and {sent} \
                 were sent"
            ),
        })
    }
}

/// What a response says about the values.
pub(crate) fn of_response(response: &[u8], address: &Address) -> Result<ValueCounts, Failure> {
    let Ok(answer) = serde_json::from_slice::<SenderAnswer>(response) else {
        let text = excerpt(&String::from_utf8_lossy(response), MAX_REASON);
        return Err(Failure::misconfigured(format!(
            "`{address}` answers `{text}` (not a response of Zabbix: write the address of a server or \
             a proxy)"
        )));
    };
    if let Some(redirect) = answer.redirect {
        let other = redirect.address.unwrap_or_default();
        let other = excerpt(&other, MAX_REASON);
        return Err(Failure::misconfigured(format!(
            "`{address}` refers to the proxy `{other}` of its group (write the address of the server, \
             or of that proxy)"
        )));
    }
    let info = excerpt(&answer.info, MAX_REASON);
    match ValueCounts::read(&answer.info) {
        Some(counts) if answer.response == "success" => Ok(counts),
        Some(_) | None => Err(Failure::retry(format!(
            "`{address}` answers `{}`: {info}",
            excerpt(&answer.response, MAX_REASON)
        ))),
    }
}

/// Why Zabbix refuses the values of an item, as far as it can be known.
pub(crate) fn refusal(address: &Address, item: &str, is_awaited: bool) -> String {
    if is_awaited {
        return format!(
            "`{address}` has not created the item `{item}` yet, which it was told to discover"
        );
    }
    format!(
        "`{address}` refuses values for `{item}` (check that the host exists and is enabled, that it \
         has an enabled item of the type Zabbix trapper with this key, and that its allowed hosts and \
         its encryption accept this exporter)"
    )
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{setting::Mistakes, testkit::outcome_name};
    use serde_json::json;

    use super::*;

    fn of(response: &str) -> Result<ValueCounts, Failure> {
        let address = Address::read("address", Some(json!("z")), 1, &mut Mistakes::default());
        of_response(response.as_bytes(), &address.unwrap())
    }

    #[test]
    fn an_answer_counts_values() {
        let answer = r#"{"response":"success","info":"processed: 3; failed: 2; total: 5; seconds spent: 0.000055"}"#;
        let counts = ValueCounts {
            accepted: 3,
            refused: 2,
        };
        assert_eq!(of(answer), Ok(counts));
    }

    #[test]
    fn other_answers_have_their_outcome() {
        let check = |answer: &str, name: &str, part: &str| {
            let failure = of(answer).unwrap_err();
            assert!(failure.to_string().contains(part), "{failure}");
            assert_eq!(outcome_name(&Err(failure)), name);
        };
        check("ok", "misconfigured", "not a response of Zabbix");
        let failed = r#"{"response":"failed","info":"cannot\nparse"}"#;
        check(failed, "retry", r"answers `failed`: cannot\nparse");
        check(r#"{"response":"success","info":"ok"}"#, "retry", "ok");
        let redirect = r#"{"response":"failed","redirect":{"revision":1,"address":"p2"}}"#;
        check(redirect, "misconfigured", "refers to the proxy `p2`");
    }
}

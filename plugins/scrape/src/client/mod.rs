//! Asks the exporter for its page.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use delfin_plugin_api::{
    Failure,
    http::{Client, ErrorKind, ReceiverUrl, Response},
    quantity::format_size,
    time::now_ms,
};

use crate::{config::ScrapeConfig, decode::ScrapeFormat};

/// The formats that are read, the best first, as Prometheus 3 asks for them.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
    application/openmetrics-text;version=0.0.1;q=0.4,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Asks one exporter.
pub(crate) struct PageClient {
    client: Client,
    url: ReceiverUrl,
    max_bytes: usize,
}

/// A page, and when it was asked for.
pub(crate) struct FetchedPage {
    response: Response,
    pub format: ScrapeFormat,
    pub time_ms: i64,
    pub asked: Instant,
}

impl PageClient {
    pub(crate) fn new(config: &ScrapeConfig) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(&config.http)?,
            url: config.url.clone(),
            max_bytes: config.max_body_bytes,
        })
    }

    /// The page. An exporter that fails is asked again at the next interval, unless it refuses the
    /// credentials.
    pub(crate) fn fetch(&self, time: Duration) -> Result<FetchedPage, Failure> {
        let (asked, time_ms) = (Instant::now(), now_ms());
        let request = self.client.get(&self.url.url);
        let request = request
            .header("accept", ACCEPT)
            .header(
                "x-prometheus-scrape-timeout-seconds",
                &time.as_secs_f64().to_string(),
            )
            .max_response(self.max_bytes);
        let shown = &self.url.redacted;
        let response = request.send(&[], time).map_err(|error| match error.kind {
            ErrorKind::InvalidUrl => error.failure(shown),
            // The client keeps back a tenth of the time at most.
            _ if asked.elapsed() >= time.mul_f64(0.9) => {
                let seconds = time.as_secs_f64();
                Failure::retry(format!(
                    "`{shown}`: the page did not come in {seconds} s (check the exporter and \
                     `timeout`)"
                ))
            }
            // A certificate is renewed, and a proxy started, without a change here.
            ErrorKind::NotSent
            | ErrorKind::NoResponse
            | ErrorKind::Untrusted
            | ErrorKind::NotHttp
            | ErrorKind::Forbidden => Failure::retry(format!("`{shown}`: {error}")),
        })?;
        match response.status() {
            200 => {}
            401 | 403 | 407 => return Err(response.failure(shown)),
            status => {
                let message = response.message(shown);
                return Err(match status {
                    300..400 => Failure::rejected(format!(
                        "{message} (a redirect is not followed: set `url` to its target)"
                    )),
                    400..429 => Failure::rejected(format!(
                        "{message} (check the path and the query of `url`)"
                    )),
                    _ => Failure::retry(format!("{message} (see the log of the exporter)")),
                });
            }
        }
        if response.is_web_page() {
            return Err(Failure::retry(format!(
                "`{shown}` answers with a web page (add the path of the metrics to `url`)"
            )));
        }
        if response.body().is_none() {
            let limit = format_size(self.max_bytes as u64);
            return Err(Failure::retry(if response.is_cut_off() {
                format!("`{shown}`: the page ends early, or did not come in time")
            } else {
                format!("`{shown}`: the page has more than {limit} (raise `max_body_bytes`)")
            }));
        }
        Ok(FetchedPage {
            format: format(&response),
            response,
            time_ms,
            asked,
        })
    }
}

impl FetchedPage {
    /// The text of the page, which is not copied: a page can have tens of megabytes.
    pub(crate) fn text(&self) -> Result<&str, String> {
        let body = self.response.body().unwrap_or_default();
        str::from_utf8(body).map_err(|error| {
            let place = error.valid_up_to();
            format!("the page is not UTF-8 at byte {place}")
        })
    }
}

fn format(response: &Response) -> ScrapeFormat {
    let kind = response.header("content-type").unwrap_or_default();
    if kind
        .trim_start()
        .starts_with("application/openmetrics-text")
    {
        return ScrapeFormat::OpenMetrics;
    }
    ScrapeFormat::Text
}

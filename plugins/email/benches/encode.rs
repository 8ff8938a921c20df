//! How fast alerts become mails: one for each alert, or digests.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails shows it")]

use delfin_exporter_email::encode::{MailConfig, MailEncoder};
use delfin_plugin_api::{
    AlertBatch, Origin, bench,
    setting::Mistakes,
    template::{NameTemplate, TemplateRules},
};
use divan::Bencher;

const SUBJECT: TemplateRules = TemplateRules {
    character: Some,
    empty: "-",
    max_value_bytes: 200,
    check: |_| Ok(()),
};

delfin_plugin_api::bench_main!();

#[divan::bench(args = [false, true])]
fn alerts(bencher: Bencher<'_, '_>, digest: bool) {
    let subject = "[{severity}] {storage_name}: {alert_name}";
    let mut mistakes = Mistakes::default();
    let encoder = MailEncoder::new(MailConfig {
        from: "delfin@example.com".parse().unwrap(),
        to: vec!["storage@example.com".parse().unwrap()],
        digest,
        subject: NameTemplate::read::<AlertBatch>("", None, subject, &SUBJECT, &mut mistakes),
        body: None,
    });
    bench::alerts(bencher, |batch| {
        encoder
            .encode(batch, &[], Origin::Collection)
            .unwrap()
            .len()
    });
}

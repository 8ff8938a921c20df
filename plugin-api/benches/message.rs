//! How fast a batch becomes messages for queues.

use delfin_plugin_api::{
    PerformanceBatch, bench,
    message::{MessageRules, MessageSettings, MessageWriter, WrittenMessages},
    setting::Mistakes,
    template::TemplateRules,
};
use divan::Bencher;

const RULES: MessageRules = MessageRules {
    key: "topic",
    default: "delfin.{storage_id}",
    bytes: 500_000,
    template: TemplateRules {
        character: Some,
        empty: "_",
        max_value_bytes: 255,
        check: |_| Ok(()),
    },
};

delfin_plugin_api::bench_main!();

#[divan::bench(args = ["delfin", "json", "arrow"])]
fn performance(bencher: Bencher<'_, '_>, format: &str) {
    let written = WrittenMessages {
        format: Some(format.into()),
        ..WrittenMessages::default()
    };
    let mut mistakes = Mistakes::default();
    let settings = MessageSettings::read::<PerformanceBatch>(written, &RULES, &mut mistakes);
    let mut writer = MessageWriter::new(settings, "bench");
    bench::performance(bencher, |batch| {
        writer.encode_parts(batch, &[], "collection")
    });
}

//! How fast a batch becomes messages for queues. The batch has 31,629 series with eight labels and
//! 15 points each, like one storage of Delfin's fake driver.

use delfin_plugin_api::{
    Batch, PerformanceBatch,
    message::{MessageRules, MessageSettings, MessageWriter, WrittenMessages},
    sample,
    setting::Mistakes,
    template::TemplateRules,
};
use divan::{AllocProfiler, Bencher, counter::ItemsCount};

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

/// Shows the allocations of a batch next to its time.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = ["delfin", "json", "arrow"])]
fn performance(bencher: Bencher<'_, '_>, format: &str) {
    let written = WrittenMessages {
        format: Some(format.into()),
        ..WrittenMessages::default()
    };
    let mut mistakes = Mistakes::default();
    let settings = MessageSettings::read::<PerformanceBatch>(written, &RULES, &mut mistakes);
    let mut writer = MessageWriter::new(settings, "bench");
    let batch = sample::performance(31_629, 15);
    bencher
        .counter(ItemsCount::new(batch.items()))
        .bench_local(|| writer.encode_parts(&batch, &[], "collection"));
}

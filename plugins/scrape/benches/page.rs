//! How long it takes to read a page of 100,000 samples.

use std::fmt::Write;

use delfin_exporter_scrape::decode::{PageLimits, ScrapeFormat, read_page};

const SAMPLES: usize = 100_000;

fn main() {
    divan::main();
}

/// A page as of an exporter of an array: a name, an id and a dimension.
fn page() -> String {
    let mut page = String::new();
    for sample in 0..SAMPLES {
        let volume = sample / 10;
        let dimension = sample % 10;
        let _written = writeln!(
            page,
            "purefa_volume_performance_latency_usec{{naa_id=\"naa.624a9370{volume:024x}\",\
             name=\"volume-{volume}\",dimension=\"usec_per_op_{dimension}\"}} {sample}.5"
        );
    }
    page
}

#[divan::bench]
fn read(bencher: divan::Bencher<'_, '_>) {
    let page = page();
    bencher
        .counter(divan::counter::BytesCount::of_str(&page))
        .bench(|| {
            let mut sum = 0.0;
            let read = read_page(
                &page,
                ScrapeFormat::Text,
                &PageLimits::default(),
                |sample| {
                    sum += sample.value;
                },
            );
            assert_eq!(read, Ok(SAMPLES));
            sum
        });
}

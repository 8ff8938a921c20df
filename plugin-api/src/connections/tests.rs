use std::{future::Future, io::IoSlice, pin::pin, task::Poll};

use tokio::{
    io::{AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
};

use super::*;

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Whether the future is ready without waiting.
async fn is_ready(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[test]
fn the_connection_that_waited_longest_for_its_client_gives_way() {
    runtime().block_on(async {
        let table = ConnectionTable::new(3);
        let idle = table.admit().await;
        let working = table.admit().await;
        let slow = table.admit().await;
        working.begin_request();
        slow.begin_request();
        assert!(!is_ready(table.admit()).await);
        assert!(is_ready(idle.give_way()).await);
        assert!(!is_ready(working.give_way()).await);
        drop(idle);
        let newest = table.admit().await;
        newest.begin_request();
        // Now all are worked on, and the next one waits for the first that is not.
        let mut next = pin!(table.admit());
        assert!(!is_ready(next.as_mut()).await);
        assert!(!is_ready(slow.give_way()).await);
        slow.set_blocked(true);
        assert!(!is_ready(next.as_mut()).await);
        assert!(is_ready(slow.give_way()).await);
        drop(slow);
        assert!(is_ready(next.as_mut()).await);
        assert_eq!(
            (table.open(), table.gave_way(), table.accepted()),
            (2, 2, 5)
        );
    });
}

#[test]
fn a_connection_that_was_worked_on_waits_from_the_start_again() {
    runtime().block_on(async {
        let table = ConnectionTable::new(2);
        let first = table.admit().await;
        let second = table.admit().await;
        first.begin_request();
        first.end_request();
        assert!(!is_ready(table.admit()).await);
        assert!(is_ready(second.give_way()).await);
        assert!(!is_ready(first.give_way()).await);
    });
}

#[test]
fn a_notice_counts_what_happened_since_the_last_one() {
    runtime().block_on(async {
        let table = ConnectionTable::new(1);
        assert_eq!(table.notice(), None);
        let _first = table.admit().await;
        assert!(!is_ready(table.admit()).await);
        assert_eq!(table.notice(), Some(1));
        assert_eq!(table.notice(), None);
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    runtime().block_on(async {
        let table = ConnectionTable::new(1);
        let slot = Arc::new(table.admit().await);
        slot.begin_request();
        let (near, _far) = duplex(1000);
        let mut stream = PacedStream::new(near, Arc::clone(&slot));
        stream.write_all(&[0; 1000]).await.unwrap();
        let slices = [IoSlice::new(&[0; 10])];
        let failed = stream.write_vectored(&slices).await.unwrap_err();
        assert_eq!(failed.kind(), std::io::ErrorKind::TimedOut);
        // Meanwhile the connection was one that can give way.
        assert!(!is_ready(table.admit()).await);
        assert!(is_ready(slot.give_way()).await);
    });
}

#[test]
fn a_client_that_reads_slowly_and_all_the_time_is_served() {
    runtime().block_on(async {
        let table = ConnectionTable::new(1);
        let slot = Arc::new(table.admit().await);
        let (near, mut far) = duplex(32 << 10);
        let mut stream = PacedStream::new(near, slot);
        let reading = async {
            let mut buffer = vec![0; 32 << 10];
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                tokio::io::AsyncReadExt::read_exact(&mut far, &mut buffer)
                    .await
                    .unwrap();
            }
        };
        let content = vec![0; 3200 << 10];
        let (written, ()) = tokio::join!(stream.write_all(&content), reading);
        written.unwrap();
    });
}

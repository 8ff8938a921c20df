//! Dead letters: how they are found, replayed and removed.

use std::time::Duration;

use super::super::{
    Commit, CursorError, DeadLetterCommit, DeadLetterCount, DeadLetterDisposition,
    DeadLetterFilter, DeadLetterId, DeadLetterLimits, Position,
};
use super::{NewMedium, after, dead_letter_ids, journal_with_dead_letters};
use crate::batch::Seq;

fn of_ids(ids: &[u64]) -> DeadLetterFilter {
    DeadLetterFilter {
        ids: ids.iter().copied().map(DeadLetterId).collect(),
        ..DeadLetterFilter::default()
    }
}

fn end_replay(id: u64, disposition: DeadLetterDisposition, through: Position) -> Commit {
    Commit {
        through,
        replayed: vec![DeadLetterCommit {
            id: DeadLetterId(id),
            disposition,
        }],
        ..Commit::default()
    }
}

pub(in crate::journal) async fn dead_letters_are_found_by_exporter_time_reason_and_id(
    new: NewMedium,
) {
    let journal = journal_with_dead_letters(new).await;
    let filter = DeadLetterFilter::default;
    let by = |reason: &str| DeadLetterFilter {
        reason: Some(reason.to_owned()),
        ..filter()
    };
    assert_eq!(dead_letter_ids(&journal, filter()), [1, 2, 3]);
    assert_eq!(dead_letter_ids(&journal, by("no SUCH")), [1, 3]);
    assert_eq!(dead_letter_ids(&journal, by("%")), [0; 0]);
    assert_eq!(dead_letter_ids(&journal, of_ids(&[3, 1, 9])), [1, 3]);
    let (since_ms, limit) = (Some(2_000), Some(1));
    assert_eq!(
        dead_letter_ids(
            &journal,
            DeadLetterFilter {
                since_ms,
                ..filter()
            }
        ),
        [2, 3]
    );
    assert_eq!(
        dead_letter_ids(
            &journal,
            DeadLetterFilter {
                since_ms,
                limit,
                ..filter()
            }
        ),
        [2]
    );
    let first = DeadLetterFilter {
        limit: Some(1),
        ..by("no such")
    };
    assert_eq!(journal.count_dead_letters(&first), Ok(2));
    let exporter = Some("b".to_owned());
    assert_eq!(
        dead_letter_ids(
            &journal,
            DeadLetterFilter {
                exporter,
                ..filter()
            }
        ),
        [0; 0]
    );
    let dead_letter = journal.dead_letter(DeadLetterId(2)).unwrap().unwrap();
    assert_eq!(dead_letter.dead_letter.payload, [1; 10]);
    assert_eq!(journal.dead_letter(DeadLetterId(u64::MAX)), Ok(None));
}

pub(in crate::journal) async fn a_dead_letter_in_replay_is_pending_until_its_disposition_is_known(
    new: NewMedium,
) {
    let journal = journal_with_dead_letters(new).await;
    let replayed = journal.replay_dead_letters(&of_ids(&[1, 3])).await.unwrap();
    assert_eq!((replayed.dead_letters, replayed.items), (2, 7));
    let again = journal.replay_dead_letters(&of_ids(&[1, 2])).await.unwrap();
    assert_eq!((again.dead_letters, again.items), (1, 3));
    let counts = journal.of("a");
    assert_eq!(
        (counts.accepted, counts.dead_lettered, counts.pending),
        (20, 10, 10)
    );
    let purged = journal
        .purge_dead_letters(&DeadLetterFilter::default())
        .await;
    assert_eq!(purged, Ok(DeadLetterCount::default()));
    let through = after(Seq(1));
    journal
        .commit(
            "a",
            end_replay(1, DeadLetterDisposition::Delivered, through),
        )
        .await
        .unwrap();
    let dead_again = DeadLetterDisposition::DeadLettered {
        code: 9,
        reason: "still no such host".to_owned(),
        plugin_version: "2.0.0".to_owned(),
        attempts: 4,
        last_ms: 5_000,
    };
    journal
        .commit("a", end_replay(3, dead_again, through))
        .await
        .unwrap();
    let counts = journal.of("a");
    assert_eq!(
        (counts.delivered, counts.dead_lettered, counts.pending),
        (2, 15, 3)
    );
    assert_eq!(
        dead_letter_ids(&journal, DeadLetterFilter::default()),
        [2, 3]
    );
    let dead_letter = journal.dead_letter(DeadLetterId(3)).unwrap().unwrap();
    assert_eq!(
        (
            dead_letter.dead_letter.code,
            dead_letter.dead_letter.attempts
        ),
        (9, 4)
    );
    assert_eq!(dead_letter.replayed_ms, None);
    let next = journal
        .next_replayed_dead_letter("a", DeadLetterId(0))
        .unwrap()
        .unwrap();
    assert_eq!(next.id, DeadLetterId(2));
    assert_eq!(
        journal.next_replayed_dead_letter("a", DeadLetterId(2)),
        Ok(None)
    );
}

pub(in crate::journal) async fn the_end_of_a_replay_that_never_started_is_refused(new: NewMedium) {
    let journal = journal_with_dead_letters(new).await;
    let refused = journal.commit(
        "a",
        end_replay(1, DeadLetterDisposition::Delivered, after(Seq(1))),
    );
    assert!(matches!(refused.await, Err(CursorError::Refused { .. })));
    journal.of("a");
    assert_eq!(
        dead_letter_ids(&journal, DeadLetterFilter::default()),
        [1, 2, 3]
    );
}

pub(in crate::journal) async fn dead_letters_are_trimmed_by_size_and_age_the_oldest_first(
    new: NewMedium,
) {
    let journal = journal_with_dead_letters(new).await;
    journal.replay_dead_letters(&of_ids(&[1])).await.unwrap();
    let limits = DeadLetterLimits {
        max_bytes: 10,
        max_age: Duration::MAX,
    };
    let trimmed = journal.trim_dead_letters("a", &limits).await.unwrap();
    assert_eq!(
        (trimmed.dead_letters, trimmed.items, trimmed.bytes),
        (1, 3, 10)
    );
    assert_eq!(
        dead_letter_ids(&journal, DeadLetterFilter::default()),
        [1, 3]
    );
    let limits = DeadLetterLimits {
        max_bytes: u64::MAX,
        max_age: Duration::ZERO,
    };
    journal.trim_dead_letters("a", &limits).await.unwrap();
    assert_eq!(dead_letter_ids(&journal, DeadLetterFilter::default()), [1]);
    assert_eq!(journal.of("a").dead_lettered, 10);
    let totals = journal.dead_letter_totals("a").unwrap();
    assert_eq!(
        (totals.dead_letters, totals.items, totals.bytes),
        (1, 2, 10)
    );
}

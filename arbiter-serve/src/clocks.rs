//! The clock of this machine beside that of the database. Replicas that share one judge by their own clocks, and the gates
//! hold among them as far as those agree; the database's clock is the one that all of them can see.

use std::sync::Arc;

use chiffon_store::ControlStore;
use jiff::{SignedDuration, Timestamp};

/// Beyond this, a rest or a lock that is kept by one replica may be over for another.
const FAR: SignedDuration = SignedDuration::from_secs(1);

/// Warns where they are far apart. What the database does not tell is left to the other looks at it.
pub(crate) async fn compare(store: &Arc<dyn ControlStore>) {
    let before = Timestamp::now();
    let Ok(Some(theirs)) = store.clock().await else {
        return;
    };
    if let Some(apart) = apart(before, theirs, Timestamp::now()) {
        tracing::warn!(
            "the clock of this machine and that of the database are {} s apart: replicas that share it keep rests, locks and rates only as far as their clocks agree; set the clocks",
            apart.as_secs()
        );
    }
}

/// How far apart they are for sure, where that is far; theirs was read at some time between the two.
fn apart(before: Timestamp, theirs: Timestamp, after: Timestamp) -> Option<SignedDuration> {
    let behind = before.duration_since(theirs);
    let ahead = theirs.duration_since(after);
    Some(behind.max(ahead)).filter(|apart| *apart > FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_apart_for_sure_is_far() {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        for (theirs, far) in [
            (0, None),
            (5, None),
            (6, None),
            (9, Some(4)),
            (-1, None),
            (-300, Some(300)),
        ] {
            // A slow answer.
            let found = apart(at(0), at(theirs), at(5));
            assert_eq!(found.map(|found| found.as_secs()), far, "{theirs}");
        }
    }
}

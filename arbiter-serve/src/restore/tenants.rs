//! The whole state of a tenant from records that each name a part of it.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_arbiter::{Bucket, Span, TenantState};
use chiffon_common::PlanId;
use jiff::Timestamp;

/// How records, one after the other, have moved their tenant. Each names the generation that it is about, as it was before
/// and after, and counts the others.
#[derive(Debug, Default)]
pub(super) struct TenantMoves {
    /// When nothing else was under way. What has begun later may be another replica's.
    alone: Option<Timestamp>,
    begun: BTreeMap<PlanId, Span>,
    ended: BTreeSet<PlanId>,
    bucket: Option<Bucket>,
}

impl TenantMoves {
    pub(super) fn then(&mut self, read: &TenantState, left: &TenantState, at: Timestamp) {
        if read.others == 0 {
            self.alone = Some(at);
            self.begun.clear();
            self.ended.clear();
        }
        self.begun
            .retain(|plan, span| at < span.until && !read.unfinished.contains_key(plan));
        self.ended.extend(read.unfinished.keys());
        self.begun
            .extend(left.unfinished.iter().map(|(plan, span)| (*plan, *span)));
        self.bucket = left.bucket;
    }

    /// The tenant behind them, from what it was before.
    pub(super) fn on(&self, before: TenantState) -> TenantState {
        let mut unfinished = before.unfinished;
        unfinished.retain(|plan, span| {
            let is_later = self.alone.is_none_or(|alone| alone < span.since);
            is_later && !self.ended.contains(plan)
        });
        unfinished.extend(self.begun.iter().map(|(plan, span)| (*plan, *span)));
        TenantState {
            unfinished,
            others: 0,
            bucket: self.bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    fn plan(number: u128) -> PlanId {
        PlanId::from_uuid(Uuid::from_u128(number))
    }

    fn span(since: i64) -> Span {
        let since = at(since);
        let until = since + SignedDuration::from_secs(600);
        Span { since, until }
    }

    /// One generation after the other begins, some end, some run out: what was read and left each time.
    fn history() -> Vec<(TenantState, TenantState, Timestamp)> {
        let mut whole = TenantState::default();
        let mut all = Vec::new();
        for step in 0..120_i64 {
            let now = at(step * 31);
            let number = u128::try_from(step).unwrap();
            let ends = step % 3 == 2 && step % 7 > 0;
            let about = match ends {
                true => plan(number - 2 + u128::from(step % 2 == 0)),
                false => plan(number),
            };
            let found = whole.clone();
            match ends {
                true => drop(whole.unfinished.remove(&about)),
                false => {
                    whole.unfinished.retain(|_, span| now < span.until);
                    whole.unfinished.insert(about, span(step * 31));
                }
            }
            let level = u64::try_from(step).unwrap();
            whole.bucket = Some(Bucket { level, at: now });
            all.push((found, whole.clone(), now, about));
        }
        let read = |(found, left, now, about): (TenantState, TenantState, Timestamp, PlanId)| {
            assert!(found.unfinished.len() < 25);
            (found.as_read(about, now), left.as_read(about, now), now)
        };
        let most = all.iter().map(|it| it.1.unfinished.len()).max();
        assert!(most > Some(8), "{most:?}");
        all.into_iter().map(read).collect()
    }

    fn counted(mut state: TenantState, now: Timestamp) -> TenantState {
        state.unfinished.retain(|_, span| now < span.until);
        state
    }

    fn folded(
        records: &[(TenantState, TenantState, Timestamp)],
        before: TenantState,
    ) -> TenantState {
        let mut moves = TenantMoves::default();
        for (read, left, now) in records {
            moves.then(read, left, *now);
        }
        moves.on(before)
    }

    #[test]
    fn the_whole_comes_of_its_parts_from_nothing_and_from_any_state_of_before() {
        let all = history();
        let now = all.last().unwrap().2;
        let end = counted(folded(&all, TenantState::default()), now);
        assert_eq!(end.under_way(now), {
            let (_, left, _) = all.last().unwrap();
            left.under_way(now)
        });
        for split in 0..all.len() {
            let before = folded(&all[..split], TenantState::default());
            let after = folded(&all[split..], before);
            assert_eq!(counted(after, now), end, "from record {split} on");
            // A database that knows more than the records tell.
            let known = counted(folded(&all[split..], end.clone()), now);
            assert_eq!(known, end, "again from record {split} on");
        }
    }

    #[test]
    fn what_has_begun_since_nothing_was_under_way_stays() {
        let nothing = TenantState::default();
        let begun = |number, since| TenantState {
            unfinished: [(plan(number), span(since))].into(),
            ..TenantState::default()
        };
        let mut moves = TenantMoves::default();
        moves.then(&nothing, &begun(1, 100), at(100));
        let other = |since| moves.on(begun(2, since)).unfinished.len();
        assert_eq!((other(50), other(150)), (1, 2), "of another replica");
    }

    /// Records of version 0 name everything.
    #[test]
    fn records_that_name_all_are_followed_too() {
        let three = TenantState {
            unfinished: (1..4).map(|n| (plan(n), span(10))).collect(),
            ..TenantState::default()
        };
        let mut two = three.clone();
        two.unfinished.remove(&plan(2));
        let mut moves = TenantMoves::default();
        moves.then(&three, &two, at(20));
        assert_eq!(moves.on(TenantState::default()), two);
        assert_eq!(moves.on(three), two);
    }
}

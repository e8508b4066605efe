//! Entries that nobody has accepted yet: they take no sentence from one that was shipped or accepted. Where both fit whole it
//! is asked, and one that is only half said gives way.

use chiffon_common::Tier;

use super::{
    choice::{SURE_OF_CHANGE, SURE_OF_REPORT},
    fit::Fit,
};

impl Fit<'_> {
    /// Whether an accepted entry is what was said, with nothing lacking and no word left over.
    pub(super) fn is_at_home(&self) -> bool {
        let enough = match self.entry.tier {
            Tier::Zero => SURE_OF_REPORT,
            _ => SURE_OF_CHANGE,
        };
        self.entry.accepted
            && self.score >= enough
            && !self.lacks_all()
            && self.unexplained.is_empty()
            && self.filled.missing.is_empty()
    }

    /// Whether an accepted entry takes every word that was said, though something may be lacking: "reboot".
    fn takes_all(&self) -> bool {
        self.entry.accepted && self.has_action && self.unexplained.is_empty()
    }

    /// Whether it is one that nobody accepted, and is not said as a whole.
    pub(super) fn is_half_a_newcomer(&self) -> bool {
        let lacks = self.lacks_thing || !self.filled.missing.is_empty();
        !self.entry.accepted && (lacks || !self.unexplained.is_empty())
    }
}

/// Puts those that are half said behind the first accepted one that leaves no word over.
pub(super) fn give_way(ranked: &mut [Fit<'_>]) {
    let is_fit = |fit: &Fit<'_>| fit.is_at_home() || fit.takes_all();
    if let Some(at) = ranked.iter().position(is_fit)
        && let Some(better) = ranked.get_mut(..=at)
    {
        better.sort_by_key(Fit::is_half_a_newcomer);
    }
}

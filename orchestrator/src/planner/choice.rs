//! Which entry a clause means, and how sure that is: what speaks against doing anything, what is too far from every entry, and
//! two that are as near.

use chiffon_common::{ErrorCode, Tier, visible};

use super::{
    clause::Clause,
    fit::Fit,
    hosts,
    propose::{Asked, Refusal, ask},
    read::{Read, Sense},
    scope::{is_any_of_several, is_one_of},
    stance::Stance,
    step::Known,
    suggest, words,
};

const UNSURE: &str =
    "I do not know what to do with that; nothing in the catalogue fits it well enough";
/// From here on a report is what was asked for.
pub(super) const SURE_OF_REPORT: f32 = 0.42;
/// From here on a change is what was asked for.
pub(super) const SURE_OF_CHANGE: f32 = 0.55;
/// From here on an entry is near enough to be asked about.
const NEAR: f32 = 0.5;
/// From here on an entry is near enough to be asked for what it lacks.
const ASKED: f32 = 0.4;
/// Two entries closer than this are asked about.
const MARGIN: f32 = 0.04;

impl Known<'_> {
    /// The entry that a clause means.
    pub(super) fn choose<'r, 'p>(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        ranked: &'r [Fit<'p>],
    ) -> Asked<&'r Fit<'p>> {
        let has = |name: &str| (clause.from..clause.to).any(|at| read.is_mark(at, name));
        if clause.stance == Stance::Talk {
            return Err(self.nothing(
                ranked,
                "that asks for knowledge, which no entry has; nothing is changed",
            ));
        }
        if has("vague") && clause.verbs.is_empty() {
            return Err(self.which(ranked, "what exactly should be done?"));
        }
        let Some(best) = ranked.first() else {
            return Err(self.nothing(ranked, UNSURE));
        };
        self.judge(read, clause, best, ranked)?;
        if best.entry.tier > Tier::Zero {
            self.is_one_thing(read, clause, best, ranked)?;
        }
        // "Install something that watches the disks": what exactly, has to be said.
        let is_general = (clause.from..clause.to).any(|at| {
            read.is_mark(at, "thing") && !hosts::is_everything_word(&read.tokens[at].folded)
        });
        let asks_what = is_general && best.has_action && !clause.verbs.is_empty();
        let lacks_value = best.entry.tier > Tier::Zero && !best.filled.missing.is_empty();
        if lacks_value && asks_what {
            return Ok(best);
        }
        let is_open = !best.filled.missing.is_empty()
            || !best.unexplained.is_empty()
            || best.host_like.is_some();
        if lacks_value && best.lacks_thing || has("chat") && is_open {
            return Err(self.nothing(ranked, UNSURE));
        }
        self.is_only_one(read, clause, ranked)?;
        self.near_enough(read, clause, best, ranked)
    }

    /// A change is of one thing, and that is named: not of one of two, and not of whatever there is.
    fn is_one_thing(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
    ) -> Asked<()> {
        // One of two is for a person to say; a report may tell of both.
        let is_or = |at: usize| {
            read.is_mark(at, "or")
                || is_one_of(read, at)
                || is_any_of_several(read, at)
                || matches!(read.senses[at], Sense::Host(_))
                    && words::is_in("or words", &read.tokens[at].folded)
        };
        if (clause.from..clause.to).any(|at| is_or(at) && !clause.is_aside(at)) {
            return Err(self.which_of_two(read, clause, ranked));
        }
        if self.is_host_or_program(read, clause, best) {
            return Err(self.which(
                ranked,
                "that could be the machine, or something that runs on it; which is meant?",
            ));
        }
        match best.lacks_all() {
            true => Err(self.not_understood(read, best, ranked)),
            false => Ok(()),
        }
    }

    /// "Restart jellyfin", where a host is called so: the machine, or what runs on it?
    fn is_host_or_program(&self, read: &Read<'_>, clause: &Clause, best: &Fit<'_>) -> bool {
        let takes_machine = self
            .planner
            .index
            .of(best.entry.id.as_str())
            .is_some_and(|indexed| indexed.takes_machine);
        let is_object = |at: usize| {
            matches!(read.senses[at], Sense::Host(n)
                if !read.mentions[n].is_place && !read.mentions[n].is_excluded && read.mentions[n].is_word)
                && words::is_software(&read.tokens[at].folded)
        };
        // "Restart everything on nas", "restart both on nas".
        let is_all_there =
            |at: usize| matches!(read.senses[at], Sense::Host(n) if read.mentions[n].is_all_there);
        let restarts = |at: &usize| read.canonical[*at] == "restart";
        if takes_machine
            && clause.verbs.iter().any(restarts)
            && (clause.from..clause.to).any(is_all_there)
        {
            return true;
        }
        let is_plain = clause
            .verbs
            .iter()
            .any(|at| read.canonical[*at] == "reboot");
        takes_machine
            && best.filled.parameters.is_empty()
            && !is_plain
            && (clause.from..clause.to).any(is_object)
    }

    /// "Restart everything": the machine, or what runs on it?
    fn is_only_one(&self, read: &Read<'_>, clause: &Clause, ranked: &[Fit<'_>]) -> Asked<()> {
        let [best, others @ ..] = ranked else {
            return Ok(());
        };
        let says_all = (clause.from..clause.to).any(|at| {
            read.is_mark(at, "thing") && hosts::is_everything_word(&read.tokens[at].folded)
        });
        let is_rival = |other: &Fit<'_>| {
            other.has_action && other.said >= NEAR && !other.filled.missing.is_empty()
        };
        let is_change = best.entry.tier > Tier::Zero;
        match is_change && says_all && !clause.verbs.is_empty() && others.iter().any(is_rival) {
            true => Err(self.which(
                ranked,
                "everything could mean more than one thing; what exactly?",
            )),
            false => Ok(()),
        }
    }

    /// The best one where it is near enough, and no other one as near.
    fn near_enough<'r, 'p>(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &'r Fit<'p>,
        ranked: &'r [Fit<'p>],
    ) -> Asked<&'r Fit<'p>> {
        let is_report = best.entry.tier == Tier::Zero;
        let enough = match is_report {
            true => SURE_OF_REPORT,
            false => SURE_OF_CHANGE,
        };
        if best.score < enough || !is_report && !best.has_action {
            // What is missing is asked for, so nothing is done yet.
            let is_known = best.unexplained.len() < 2
                && !best
                    .unexplained
                    .iter()
                    .any(|at| read.senses[*at] == Sense::Data);
            let is_open = !best.filled.missing.is_empty() && is_known;
            let is_change = best.has_action && !is_report;
            if is_change && best.said >= ASKED && is_open {
                return Ok(best);
            }
            if !is_change || best.said < NEAR || best.score < NEAR - 0.12 {
                return Err(self.nothing(ranked, UNSURE));
            }
            // What is not understood may be the host.
            self.unknown_host(read, clause, best, &self.nearest(ranked))?;
            return Err(self.not_understood(read, best, ranked));
        }
        // What nobody has accepted yet takes no sentence from what is. One that leaves a word over does not fit it.
        if !best.entry.accepted
            && let Some(other) = ranked.iter().find(|other| other.is_at_home())
        {
            let detail = format!(
                "that could be {} or {}; which one?",
                other.entry.id, best.entry.id
            );
            return Err(self.which(ranked, &detail));
        }
        let rival = ranked.get(1).filter(|second| {
            best.score - second.score < MARGIN
                && !(best.is_at_home() && second.is_half_a_newcomer())
                && !second.lacks_all()
                && second.unexplained.len() <= best.unexplained.len()
                && second.filled.missing.len() <= best.filled.missing.len()
        });
        match rival {
            Some(second) => {
                let detail = format!(
                    "that could be {} or {}; which one?",
                    best.entry.id, second.entry.id
                );
                Err(self.which(ranked, &detail))
            }
            None => Ok(best),
        }
    }

    /// What speaks against doing it.
    fn judge(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
    ) -> Asked<()> {
        let is_report = best.entry.tier == Tier::Zero;
        let own = || (clause.from..clause.to).filter(|at| !clause.is_aside(*at));
        let has = |name: &str| own().any(|at| read.is_mark(at, name));
        let says_when = own().any(|at| read.senses[at] == Sense::When);
        let takes_time = best
            .entry
            .parameters
            .iter()
            .any(super::index::takes_schedule);
        let detail = match clause.stance {
            Stance::Story => {
                "that tells what was or what somebody said, so nothing is done; say it as a request if it is one"
            }
            Stance::Question if !is_report => {
                "that is a question, so nothing is changed; say it as a request if it is one"
            }
            Stance::Condition if !is_report => {
                "that puts a condition, which nobody watches; say it as a request for now if it is one"
            }
            _ if has("later") || says_when && !takes_time && !is_report => {
                "that names another time; say it as a request for now, or see `chiffon schedule add --help`"
            }
            // "Run /bin/true quarterly": what a report knows nothing of was not asked of it.
            _ if is_report
                && best
                    .unexplained
                    .iter()
                    .any(|at| read.senses[*at] == Sense::Data) =>
            {
                UNSURE
            }
            _ => return Ok(()),
        };
        Err(self.nothing(ranked, detail))
    }

    pub(super) fn not_understood(
        &self,
        read: &Read<'_>,
        best: &Fit<'_>,
        ranked: &[Fit<'_>],
    ) -> Box<Refusal> {
        let nearest = self.nearest(ranked);
        let how = suggest::how_to_say(best.entry, self.inventory);
        let detail = match best.unexplained.first() {
            Some(at) => format!(
                "{} fits, but I do not know what \"{}\" is to mean in it",
                best.entry.id,
                visible(read.tokens[*at].written)
            ),
            None => format!("do you mean {} ({})?", best.entry.id, best.entry.title),
        };
        ask(ErrorCode::NothingMatches, &detail, &how, &nearest)
    }
}

//! Where a step is to be done: the hosts of a clause, those that are told beside it or were named before, a host that nobody
//! knows, one of several, and one after the other.

use chiffon_common::{ErrorCode, HostName, Tier, api::Nearest};

use super::{
    Proposed, Question,
    clause::Clause,
    fit::Fit,
    hosts,
    place::{
        Meant, is_beside_host, named, named_where, stands_for_host, told_hosts, unknown_place,
    },
    plan::Context,
    propose::{self, Asked, Refusal, ask},
    read::{Read, Sense},
    remark::Remark,
    step::Known,
    words,
};

impl Known<'_> {
    /// Where a clause is to be done: what it names, what was answered, what was said before, or the only place named.
    pub(super) fn hosts(
        &self,
        read: &Read<'_>,
        (clause, best): (&Clause, &Fit<'_>),
        context: &Context,
        sole: &[HostName],
    ) -> Asked<Vec<HostName>> {
        if !self.given.hosts.is_empty() && (sole.is_empty() || named(read, clause).is_empty()) {
            return Ok(self.given.hosts.clone());
        }
        // "The disks of nas are full, restart cron" does not say where; "restart it" does.
        let outside = |at: usize| !clause.is_aside(at);
        let refers = best
            .words
            .iter()
            .chain(&best.filled.used)
            .any(|at| clause.is_aside(*at))
            || (clause.from..clause.to)
                .any(|at| outside(at) && (read.is_mark(at, "it") || read.is_mark(at, "there")));
        let own = match refers {
            true => named(read, clause),
            false => named_where(read, clause, outside),
        };
        // "Nas works again, reboot tower": what is told beside a change names no target where the request does.
        let asked = named_where(read, clause, |at| {
            Remark::around(read, clause, at).is_none()
        });
        if best.entry.tier > Tier::Zero && !asked.is_empty() {
            return Ok(asked);
        }
        if !own.is_empty() {
            return Ok(own);
        }
        if let Some(left) = self.but_those_left_out(read, clause, best, context) {
            return left;
        }
        let asks_who = best.entry.tier == Tier::Zero
            && (clause.from..clause.to).any(|at| hosts::asks_who(&read.tokens[at].folded));
        if asks_who && context.hosts.is_empty() && sole.is_empty() {
            // "Who is still alive?"
            let all = self.inventory.hosts();
            return Ok(all.map(|host| host.name.clone()).collect());
        }
        let told = told_hosts(read, clause, best.entry.tier == Tier::Zero);
        if context.hosts.is_empty() && sole.is_empty() && !told.is_empty() {
            return Ok(told);
        }
        match context.hosts.is_empty() {
            false => Ok(context.hosts.clone()),
            true => Ok(sole.to_vec()),
        }
    }

    /// All hosts but those that a clause leaves out; nothing where it leaves out none.
    fn but_those_left_out(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        context: &Context,
    ) -> Option<Asked<Vec<HostName>>> {
        let excludes = (clause.from..clause.to)
            .any(|at| matches!(read.senses[at], Sense::Host(n) if read.mentions[n].is_excluded));
        if !excludes {
            return None;
        }
        let says_all = (clause.from..clause.to).any(|at| {
            matches!(read.senses[at], Sense::Host(n) if read.mentions[n].is_out_of_all)
                || read.is_mark(at, "all")
                || hosts::is_everything_word(&read.tokens[at].folded)
        });
        if best.entry.tier > Tier::Zero && says_all && !leaves_out_of_all(read, clause) {
            return Some(Err(ask(
                ErrorCode::UnknownHost,
                "that says where not, and not where; on which hosts?",
                "say it with the hosts",
                &[],
            )));
        }
        let base: Vec<HostName> = match says_all {
            true => self
                .inventory
                .hosts()
                .map(|host| host.name.clone())
                .collect(),
            false => context.hosts.clone(),
        };
        let left_out = |host: &HostName| {
            read.mentions
                .iter()
                .any(|mention| mention.is_excluded && mention.hosts.contains(host))
        };
        let left: Vec<HostName> = base.into_iter().filter(|host| !left_out(host)).collect();
        // That nobody is left is no reason to take the only one there is.
        Some(match left.is_empty() {
            false => Ok(left),
            true => Err(ask(
                ErrorCode::UnknownHost,
                "that leaves out every host that it names; where is it to be done?",
                "say it with the host",
                &[],
            )),
        })
    }

    /// A word where a host would stand, that is none.
    pub(super) fn unknown_host(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        best: &Fit<'_>,
        nearest: &[Nearest],
    ) -> Asked<()> {
        if !self.given.hosts.is_empty() {
            return Ok(());
        }
        let left = best
            .unexplained
            .iter()
            .copied()
            .find(|at| stands_for_host(read, *at) || is_beside_host(read, *at));
        let placed = || {
            let indexed = self.planner.index.of(best.entry.id.as_str())?;
            let meant = Meant {
                indexed,
                filled: &best.filled,
                changes: best.entry.tier > Tier::Zero,
            };
            unknown_place(read, clause, &meant)
        };
        let Some(at) = best.host_like.or(left).or_else(placed) else {
            return Ok(());
        };
        Err(Box::new(Refusal::Ask(Question {
            problem: self.inventory.unknown_host(read.tokens[at].written),
            nearest: nearest.to_vec(),
            missing: Vec::new(),
            about: Some(best.entry.id.clone()),
        })))
    }

    /// One of several is meant, and a person has to say which: where hosts stand around the "or", which host.
    pub(super) fn which_of_two(
        &self,
        read: &Read<'_>,
        clause: &Clause,
        ranked: &[Fit<'_>],
    ) -> Box<Refusal> {
        let detail = "that leaves open which of two; which one?";
        let is_host = |at: usize| matches!(read.senses.get(at), Some(Sense::Host(_)));
        let of_hosts = (clause.from..clause.to)
            .filter(|at| read.is_mark(*at, "or"))
            .any(|at| is_host(at + 1) || at > 0 && is_host(at - 1))
            || (clause.from..clause.to)
                .any(|at| is_one_of(read, at) || is_any_of_several(read, at))
            || (clause.from..clause.to)
                .any(|at| is_host(at) && words::is_in("or words", &read.tokens[at].folded));
        if !of_hosts {
            return self.which(ranked, detail);
        }
        let todo = "say it with one host, or with all of them";
        let near = propose::filled_up(self.nearest(ranked), self.planner, self.inventory);
        ask(ErrorCode::UnknownHost, detail, todo, &near)
    }
}

/// "Everything but nas", "on everything except nas": whoever is left out is left out of all hosts. "All updates, not on nas"
/// says nothing of the others.
fn leaves_out_of_all(read: &Read<'_>, clause: &Clause) -> bool {
    let mut mentions = (clause.from..clause.to).filter_map(|at| match read.senses[at] {
        Sense::Host(n) => Some(&read.mentions[n]),
        _ => None,
    });
    mentions.next().is_some_and(|mention| {
        let word = |at: usize| read.tokens[at].folded.as_str();
        let before = mention.from.checked_sub(1).filter(|at| *at >= clause.from);
        let is_all = before.is_some_and(|at| {
            hosts::is_everything_word(word(at)) || read.canonical[at] == "machine"
        });
        mention.is_out_of_all || is_all && !words::is_in("not", word(mention.from))
    })
}

/// "One of the web servers": which, a person has to say.
pub(super) fn is_one_of(read: &Read<'_>, at: usize) -> bool {
    let word = read.tokens[at].folded.as_str();
    let next = read.tokens.get(at + 1).map(|next| next.folded.as_str());
    let is_host = matches!(read.senses.get(at + 1), Some(Sense::Host(_)));
    words::is_in("one of", word)
        && is_host
        && next.is_some_and(|next| words::is_in("of several", next))
}

/// "A web server", where there are several: which, a person has to say.
pub(super) fn is_any_of_several(read: &Read<'_>, at: usize) -> bool {
    let Sense::Host(n) = read.senses[at] else {
        return false;
    };
    let mention = &read.mentions[n];
    // "Un serveur web".
    let mut before = (0..mention.name.0).rev();
    let before = before.find(|at| {
        let word = &read.tokens[*at].folded;
        !hosts::is_machine(word) && !words::is_in("of several", word)
    });
    let is_any = |at: usize| {
        let token = &read.tokens[at];
        words::is_in("indefinite articles", &token.folded)
            && !token.ends_part()
            && token.written != "\u{e0}"
    };
    at == mention.name.0 && mention.hosts.len() > 1 && before.is_some_and(is_any)
}

/// "One after the other": a step for each host.
pub(super) fn one_by_one(step: Proposed, in_turn: bool) -> Vec<Proposed> {
    if !in_turn {
        return vec![step];
    }
    let hosts = step.hosts.iter();
    hosts
        .map(|host| Proposed {
            hosts: vec![host.clone()],
            ..step.clone()
        })
        .collect()
}

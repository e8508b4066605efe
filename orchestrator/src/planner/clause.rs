//! A sentence cut into clauses, each of which asks for one thing, with their order, and what speaks against doing it: a
//! negation, a question, a story of the past, a condition, another time.

use super::{
    index::Index,
    read::{Read, Sense},
    stance::{Stance, stance},
    statement::{begins_reason, is_remark, leads_to_value, states, tells_what_happens},
    words::{self, Kind},
};

/// A part of a sentence that asks for one thing.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    /// Its tokens.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Positions of the actions that count: those of a story do not.
    pub(super) verbs: Vec<usize>,
    /// Whether its action is that of the clause before it: "restart nginx on web1 and smbd on nas".
    pub(super) is_shared: bool,
    /// Parts that only say why: "nginx on web1 seems to have crashed, ...", "..., it has been up for 300 days".
    pub(super) asides: Vec<(usize, usize)>,
    /// Whether it is said to come after the clause before it.
    pub(super) is_next: bool,
    pub(super) stance: Stance,
}

impl Clause {
    /// All of what was said, as one request without an action.
    pub(super) fn whole(read: &Read<'_>) -> Self {
        without_action(read, 0, Vec::new())
    }

    pub(super) fn is_aside(&self, at: usize) -> bool {
        self.asides
            .iter()
            .any(|(from, to)| (*from..*to).contains(&at))
    }
}

struct Segment {
    from: usize,
    to: usize,
    verbs: Vec<usize>,
    /// It begins with one of the words that order clauses.
    lead: Lead,
    is_told: bool,
    asks: bool,
    /// It makes a statement: it has a subject that comes first, and says how it is.
    states: bool,
    /// It says why: "because ...".
    is_reason: bool,
    /// It asks for something with a light verb: "put fail2ban on web2".
    is_light: bool,
    /// No entry of ours does what its actions say.
    is_foreign: bool,
}

/// Actions that the list knows so that they are not taken for something else.
const FOREIGN: [&str; 11] = [
    "downgrade",
    "open",
    "create",
    "enable",
    "disable",
    "move",
    "wipe",
    "configure",
    "downloadit",
    "refresh",
    "pruneone",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lead {
    None,
    And,
    Then,
    Before,
    /// It is to be done before what was said before it: "but first".
    Beforehand,
    After,
}

/// The clauses in the order in which they are to be done.
pub(super) fn clauses(read: &Read<'_>, index: &Index) -> Vec<Clause> {
    let segments: Vec<Segment> = cut(read)
        .into_iter()
        .map(|(from, to)| segment(read, index, from, to))
        .collect();
    let mut clauses: Vec<(Clause, Lead)> = Vec::new();
    let mut pending: Option<usize> = None;
    let mut asides: Vec<(usize, usize)> = Vec::new();
    let asks = |segment: &Segment| {
        !segment.is_reason && !segment.is_foreign && (!segment.verbs.is_empty() || segment.asks)
    };
    let is_asked = segments.iter().any(asks);
    let mut gives_reason = false;
    for segment in segments {
        let is_new = segment.from == 0 || read.tokens[segment.from - 1].ends_part();
        gives_reason = segment.is_reason || gives_reason && !is_new && segment.verbs.is_empty();
        let is_beside =
            is_asked && (gives_reason || segment.is_foreign && segment.states && is_new);
        let begins = match is_beside {
            true => Begins::Nothing,
            false => begins_clause(read, &segment, clauses.last().map(|(clause, _)| clause)),
        };
        let tells =
            is_beside || (segment.is_told || is_new) && is_remark(read, segment.from, segment.to);
        match clauses.last_mut() {
            Some((last, lead)) if begins == Begins::Nothing => {
                last.to = segment.to;
                // "Reboot it, but update it before": what follows nothing comes first.
                if (segment.from..segment.to).all(|at| orders_only(read, at))
                    && matches!(segment.lead, Lead::Before | Lead::Beforehand)
                {
                    *lead = Lead::Beforehand;
                }
                let is_reason =
                    begins_reason(read, segment.from) && read.tokens[segment.from - 1].ends_part();
                if segment.states && is_reason && !gives_value(read, &segment) || tells {
                    last.asides.push((segment.from, segment.to));
                }
                continue;
            }
            None if begins == Begins::Nothing => {
                pending.get_or_insert(segment.from);
                let ends = read.tokens[segment.to - 1].ends_part()
                    || read
                        .tokens
                        .get(segment.to)
                        .is_some_and(|next| next.folded == "so");
                if is_beside || (segment.states || tells) && ends {
                    asides.push((segment.from, segment.to));
                }
                continue;
            }
            _ => {}
        }
        let is_shared = begins == Begins::Shared;
        let verbs = match clauses.last() {
            Some((last, _)) if is_shared => actions(read, last),
            _ => segment.verbs.clone(),
        };
        let clause = Clause {
            from: pending.take().unwrap_or(segment.from),
            to: segment.to,
            verbs,
            is_shared,
            asides: std::mem::take(&mut asides),
            is_next: false,
            stance: Stance::Request,
        };
        clauses.push((clause, segment.lead));
    }
    if let (Some(from), true) = (pending, clauses.is_empty()) {
        clauses.push((without_action(read, from, asides), Lead::None));
    }
    take_stances(read, &mut clauses);
    in_order(read, clauses)
}

/// What names a value is no mere reason.
fn gives_value(read: &Read<'_>, segment: &Segment) -> bool {
    (segment.from..segment.to).any(|at| {
        matches!(read.senses[at], Sense::Data | Sense::When)
            || read.tokens[at]
                .folded
                .starts_with(|c: char| c.is_ascii_digit())
    })
}

/// The one clause of a sentence in which nothing asks for anything.
fn without_action(read: &Read<'_>, from: usize, asides: Vec<(usize, usize)>) -> Clause {
    let told: usize = asides.iter().map(|(from, to)| to - from).sum();
    Clause {
        from,
        to: read.tokens.len(),
        verbs: Vec::new(),
        is_shared: false,
        asides: match told < read.tokens.len() - from {
            true => asides,
            false => Vec::new(),
        },
        is_next: false,
        stance: Stance::Request,
    }
}

/// Gives each clause its stance; what asks for knowledge does so for all of its sentence.
fn take_stances(read: &Read<'_>, clauses: &mut [(Clause, Lead)]) {
    let mut before = None;
    for (clause, _) in clauses.iter_mut() {
        // What is shared is denied, asked or told with the action that it shares.
        clause.stance = match before {
            Some(other) if clause.is_shared && other != Stance::Request => other,
            _ => stance(read, clause),
        };
        before = Some(clause.stance);
    }
    let talks: Vec<Clause> = clauses
        .iter()
        .map(|(clause, _)| clause)
        .filter(|clause| clause.stance == Stance::Talk)
        .cloned()
        .collect();
    for (clause, _) in clauses.iter_mut() {
        let is_same = |talk: &Clause| {
            let (from, to) = (talk.from.min(clause.from), talk.to.max(clause.to));
            !(from..to - 1).any(|at| read.tokens[at].ends_sentence())
        };
        if talks.iter().any(is_same) {
            clause.stance = Stance::Talk;
        }
    }
}

/// Where the segments begin and end.
fn cut(read: &Read<'_>) -> Vec<(usize, usize)> {
    let mut cuts = vec![0];
    for at in 1..read.tokens.len() {
        let same_hosts = matches!((read.senses[at - 1], read.senses[at]), (Sense::Host(a), Sense::Host(b)) if a == b);
        let goes_on = matches!(read.senses[at], Sense::Part) && !read.tokens[at - 1].ends_part();
        if same_hosts || goes_on {
            continue;
        }
        let is_mark = |name| read.is_mark(at, name);
        let after_joint = read.is_mark(at - 1, "and") || read.tokens[at - 1].ends_part();
        let orders = ["and", "before", "after", "but", "because", "beforehand"]
            .into_iter()
            .any(is_mark)
            || read.tokens[at].folded == "so" && leads_to_action(read, at + 1);
        let next = (at + 1..read.tokens.len()).find(|at| read.senses[*at] != Sense::Part);
        let leads_to_host = next.is_some_and(|at| matches!(read.senses[at], Sense::Host(_)));
        let then =
            is_mark("then") && (after_joint || leads_to_host || leads_to_action(read, at + 1));
        let begun = cuts.last().copied().unwrap_or_default();
        // "Before that, back up /etc": a word of order belongs to what it orders.
        let only_orders = begun > 0
            && (begun..at).all(|at| orders_only(read, at))
            && (begun..at).any(|at| !read.is_mark(at, "and") && !read.is_mark(at, "but"));
        if !only_orders
            && (read.tokens[at - 1].ends_part() || (orders || then) && !read.is_mark(at - 1, "and"))
        {
            cuts.push(at);
        }
    }
    cuts.push(read.tokens.len());
    cuts.windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(from, to)| from < to)
        .collect()
}

/// Whether a word says nothing but in which order.
fn orders_only(read: &Read<'_>, at: usize) -> bool {
    let head = read.heads[at];
    let marks = ["and", "but", "before", "beforehand", "first", "then"];
    marks.iter().any(|name| read.is_mark(head, name))
}

/// Whether the next word that is no grammar is an action.
fn leads_to_action(read: &Read<'_>, from: usize) -> bool {
    let mut rest = from..read.tokens.len();
    let next = rest
        .find(|at| !matches!(read.senses[*at], Sense::Part) && read.kind(*at) != Some(Kind::Stop));
    next.is_some_and(|at| {
        matches!(read.kind(at), Some(Kind::Verb | Kind::Weak))
            || read.is_mark(at, "show")
            || read.is_mark(at, "ask")
    })
}

fn segment(read: &Read<'_>, index: &Index, from: usize, to: usize) -> Segment {
    let has = |name: &str| (from..to).any(|at| read.is_mark(at, name));
    let first_content = (from..to).find(|at| {
        !matches!(read.senses[*at], Sense::Part)
            && read.kind(*at) != Some(Kind::Stop)
            && ![
                "and",
                "then",
                "but",
                "first",
                "beforehand",
                "because",
                "also",
            ]
            .iter()
            .any(|name| read.is_mark(*at, name))
    });
    let mut verbs: Vec<usize> = (from..to)
        .filter(|at| read.kind(*at) == Some(Kind::Verb))
        .collect();
    // A word that only somebody's own entry knows may be its action.
    if let (true, Some(at)) = (verbs.is_empty(), first_content)
        && read.senses[at] == Sense::Unknown
        && index.knows(&read.canonical[at])
    {
        verbs.push(at);
    }
    let is_story = first_content.is_some_and(|at| read.is_mark(at, "story")) && {
        let until = verbs.first().copied().unwrap_or(to);
        !(from..to.min(until + 1)).any(|at| words::is_in("own wishes", &read.tokens[at].folded))
    };
    let is_story =
        is_story || !has("after") && !has("before") && tells_what_happens(read, from, to, &verbs);
    let is_told = !verbs.is_empty() && (is_story || has("past")) && !has("polite");
    let names_thing = |at: usize| {
        read.senses[at] == Sense::Unknown
            || matches!(read.senses[at], Sense::Known(meaning) if meaning.is_name)
    };
    let is_run = |at: usize| matches!(read.canonical[at].as_str(), "plan" | "run");
    let has_data = (from..to).any(|at| read.senses[at] == Sense::Data);
    let is_light = first_content.is_some_and(|at| {
        read.kind(at) == Some(Kind::Weak)
            && ((at + 1..to).any(names_thing) && !leads_to_value(read, from, to)
                || is_run(at) && has_data)
    }) && !has("it");
    let is_foreign = !verbs.is_empty()
        && verbs
            .iter()
            .all(|at| FOREIGN.contains(&read.canonical[*at].as_str()));
    let is_first =
        from > 0 && first_word(read, from, to).is_some_and(|at| read.is_mark(at, "first"));
    let lead = [
        ("beforehand", Lead::Beforehand),
        ("before", Lead::Before),
        ("after", Lead::After),
        ("then", Lead::Then),
    ]
    .into_iter()
    .find(|(name, _)| has(name))
    .map(|(_, lead)| lead);
    // "And, before, back up /etc", and not "update it before, then reboot it".
    let is_apart = |at: usize| {
        let begins = at > 0 && read.tokens[at - 1].ends_part();
        let ends = |last: usize| read.heads[last] == at && read.tokens[last].ends_part();
        read.is_mark(at, "before") && begins && (at..to).any(ends)
    };
    let lead = match is_first || !has("then") && (from..to).any(is_apart) {
        true => Some(Lead::Beforehand),
        false => lead,
    };
    let is_joined = read.is_mark(from, "and") || from > 0 && read.tokens[from - 1].ends_part();
    Segment {
        from,
        to,
        verbs: if is_told { Vec::new() } else { verbs },
        lead: lead.unwrap_or(if is_joined { Lead::And } else { Lead::None }),
        is_told,
        states: states(read, from, to),
        is_reason: read.is_mark(from, "because") || is_joined && read.is_mark(from + 1, "because"),
        is_foreign,
        is_light,
        asks: first_content.is_some_and(|at| read.is_mark(at, "ask") || read.is_mark(at, "show"))
            && (from..to).any(|at| matches!(read.kind(at), Some(Kind::Noun))),
    }
}

/// The first word that is no "and" and no "but".
fn first_word(read: &Read<'_>, from: usize, to: usize) -> Option<usize> {
    (from..to).find(|at| !read.is_mark(*at, "and") && !read.is_mark(*at, "but"))
}

/// The actions of a clause; without one, a light verb that stands for it: "htop goes on the pi, ncdu on nas".
fn actions(read: &Read<'_>, clause: &Clause) -> Vec<usize> {
    let light = (clause.from..clause.to).filter(|at| read.kind(*at) == Some(Kind::Weak));
    match clause.verbs.is_empty() {
        true => light.take(1).collect(),
        false => clause.verbs.clone(),
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Begins {
    Nothing,
    Clause,
    /// A clause with the action of the one before it.
    Shared,
}

fn begins_clause(read: &Read<'_>, segment: &Segment, last: Option<&Clause>) -> Begins {
    if segment.is_told {
        return Begins::Nothing;
    }
    if !segment.verbs.is_empty() || segment.asks || segment.is_light {
        return Begins::Clause;
    }
    let Some(last) = last else {
        return Begins::Nothing;
    };
    let names_hosts = |from: usize, to: usize| {
        (from..to)
            .any(|at| matches!(read.senses[at], Sense::Host(n) if !read.mentions[n].is_excluded))
    };
    let names_thing = (segment.from..segment.to).any(|at| match read.senses[at] {
        Sense::Known(meaning) => meaning.is_name,
        sense => sense == Sense::Unknown,
    });
    let is_joined = matches!(segment.lead, Lead::And | Lead::Then);
    let shares = is_joined
        && (names_thing || segment.lead == Lead::Then)
        && !actions(read, last).is_empty()
        && names_hosts(segment.from, segment.to)
        && names_hosts(last.from, last.to);
    if shares {
        Begins::Shared
    } else {
        Begins::Nothing
    }
}

/// Puts the clauses in the order in which they are to be done.
fn in_order(read: &Read<'_>, clauses: Vec<(Clause, Lead)>) -> Vec<Clause> {
    let mut ordered: Vec<Clause> = Vec::new();
    let mut held: Option<Clause> = None;
    let count = clauses.len();
    for (n, (mut clause, lead)) in clauses.into_iter().enumerate() {
        match lead {
            // "Before you reboot tower, back up ...": what comes next is done first.
            Lead::Before if n == 0 && count > 1 => {
                clause.is_next = true;
                held = Some(clause);
                continue;
            }
            Lead::Beforehand if !ordered.is_empty() => {
                if let Some(mut later) = ordered.pop() {
                    later.is_next = true;
                    ordered.push(clause);
                    ordered.push(later);
                }
                continue;
            }
            // "Start prometheus, but only once node_exporter is started".
            Lead::After if n > 0 && ordered.len() == 1 => {
                if let Some(mut later) = ordered.pop() {
                    later.is_next = true;
                    ordered.push(clause);
                    ordered.push(later);
                }
                continue;
            }
            Lead::Then | Lead::Before => clause.is_next = n > 0,
            Lead::After | Lead::And | Lead::None | Lead::Beforehand => {}
        }
        // "After restoring it, restart haproxy": the second waits for the first.
        let follows = ordered
            .last()
            .is_some_and(|last| read.is_mark(last.from, "after"));
        clause.is_next |= follows;
        ordered.push(clause);
        ordered.extend(held.take());
    }
    ordered.extend(held);
    ordered
}
